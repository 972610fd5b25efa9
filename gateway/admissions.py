"""What the free policies decided for a request head, remembered for the next one that is made of the same two parts.

A cache of the chain's result, nothing more: `gateway.chain` stays the one definition, and this says how long its answer
to the same question must be the same. A head is its request line and its fields, and each policy hangs on
- the line alone (guard, `match_route`): remembered with the line,
- the fields and the peer alone (guard, `authenticate`, allow-lists, forwarding fields): remembered with the fields,
- the fields and the line's operation (`check_access`): remembered with the fields, by the operation,
- the line's text and the key (`confine_key`): looked at each time.
So what was decided of two heads is also true of the line of one with the fields of the other, if the caller was let
through to that operation before. All of it stands while the catalog's `version` has not moved, which every change that
it hears of moves, and no longer than the catalog would believe the key without asking again.

Only ordinary heads are remembered: no body, neither HEAD nor OPTIONS, and no field that means something else beside
another line, or something new each time. They are so from their second time on, and fields under their SHA-256: no key
is held in the clear. Refusals are not remembered: they are
counted by address. Who has no valid key leaves nothing here.
"""

import time
from collections import OrderedDict
from operator import itemgetter
from time import monotonic_ns
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from gateway import forwarding
from gateway.known_parts import Admission, KnownFields, KnownLine

if TYPE_CHECKING:
    from gateway.exchange import Exchange

MOST_HELD = 8_192
MOST_WEIGHT = 12 << 20
"""Of lines, and of fields: how many, and bytes that they take, about. Callers choose how long and how many they are."""
LONGEST_HEAD_FIELDS = 40
ADMISSION_WEIGHT = 250
EXPIRY_CHECKED_SECONDS = 1.0
"""Keys that expire do so by the wall clock, which may be set: it is looked at this often."""
_WITHOUT = frozenset((b"HEAD", b"OPTIONS"))
"""Methods whose answers hang on more: the first has no body, the second may be a preflight."""
_NOT_ORDINARY = frozenset((b"traceparent", b"upgrade", b"expect"))
"""A trace goes on, and what the others ask for hangs on the method."""
_name = itemgetter(0)


class Catalog(Protocol):
    """What validity hangs on; `domain.catalog`'s, but in `gateway.bare`."""

    version: int

    def good_until(self, presented: bytes) -> float:
        """Monotonic seconds."""


class Mark(NamedTuple):
    """The two parts of a head as they came, and what the second is found by: its SHA-256 with the peer."""

    line: bytes
    fields: bytes
    fields_mark: bytes


class _Weighty(Protocol):
    weight: int

    def let_go(self) -> None: ...


Part = TypeVar("Part", bound=_Weighty)


class _Memory(Generic[Part]):
    """Bounded in number and in bytes, first in first out."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Part] = OrderedDict()
        self._weight = 0
        self._seen: set[int] = set()
        self.get = self._held.get

    def came_before(self, name: bytes) -> bool:
        """Whether this is at least the second time. A stranger that looks the same by chance does no harm."""
        if hash(name) in self._seen:
            return True
        if len(self._seen) >= 2 * MOST_HELD:
            self._seen.clear()
        self._seen.add(hash(name))
        return False

    def keep(self, name: bytes, part: Part) -> None:
        """In the place of what was held under this name."""
        replaced = self._held.pop(name, None)
        if replaced is not None:
            self._drop(replaced)
        self._held[name] = part
        self.add(part.weight)

    def add(self, weight: int) -> None:
        """Something that is held weighs more; the oldest go where that is too much."""
        self._weight += weight
        while self._weight > MOST_WEIGHT or len(self._held) > MOST_HELD:
            self._drop(self._held.popitem(last=False)[1])

    def _drop(self, part: Part) -> None:
        self._weight -= part.weight
        part.let_go()


class Admissions:
    """One worker's memory."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._lines: _Memory[KnownLine] = _Memory()
        self._fields: _Memory[KnownFields] = _Memory()
        self._line, self._fields_of = self._lines.get, self._fields.get

    def find(self, line: bytes, fields: bytes, fields_mark: bytes) -> tuple[KnownLine, Admission] | None:
        """What is known of the head `line` CRLF `fields`, if the free policies would let it through now."""
        known, caller = self._line(line), self._fields_of(fields_mark)
        if known is None or caller is None:
            return None
        version = self.catalog.version
        if known.version != version or caller.version != version or monotonic_ns() >= caller.good_until_ns:
            return None
        admission = caller.admissions.get(known.route)
        if admission is None or (caller.key_at is not None and fields[caller.key_at] in known.texts):
            return None
        return known, admission

    def remember(self, mark: Mark, exchange: "Exchange") -> None:
        """Keep what the free policies decided for the head under `mark`, if that may be done and was asked before."""
        request, operation = exchange.request, exchange.matched.operation
        if operation is not None and operation.asynchronous:
            return
        line_known, fields_known = self._lines.came_before(mark.line), self._fields.came_before(mark.fields_mark)
        if not (line_known or fields_known) or request.method in _WITHOUT or len(request.headers) > LONGEST_HEAD_FIELDS:
            return
        if request.body != 0 or request.version != "1.1" or not _NOT_ORDINARY.isdisjoint(map(_name, request.headers)):
            return
        version, heads, lines = self.catalog.version, *forwarding.known_lines(exchange)
        if line_known:
            self._lines.keep(mark.line, KnownLine(exchange, heads, version))
        if fields_known:
            self._remember_caller(mark, exchange, lines, version)

    def _remember_caller(self, mark: Mark, exchange: "Exchange", lines: bytes, version: int) -> None:
        now = time.monotonic()
        good_until = self.catalog.good_until(exchange.key_bytes)
        if exchange.key.expires_at is not None:
            good_until = min(good_until, now + EXPIRY_CHECKED_SECONDS, now + exchange.key.expires_at - time.time())
        if good_until <= now:
            return
        caller = self._fields.get(mark.fields_mark)
        if caller is None or caller.version != version or monotonic_ns() >= caller.good_until_ns:
            caller = KnownFields(exchange, mark.fields, lines, version, good_until)
            self._fields.keep(mark.fields_mark, caller)
        admission = Admission(caller, exchange.matched)
        if caller.admissions.setdefault(id(admission.owner), admission) is admission:
            caller.weight += ADMISSION_WEIGHT
            self._fields.add(ADMISSION_WEIGHT)

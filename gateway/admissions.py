"""What the free policies decided for a request head, remembered for the next one with the same bytes.

A cache of the chain's result, nothing more: `gateway.chain` stays the one definition, and this says how long its answer
to the same question must be the same. It depends on the head's bytes, on the peer (allow-lists, forwarding fields), on
plans, services and operations, and on the key. So an admission stands while the catalog's `version` has not moved, which
every change that it hears of moves, and no longer than the catalog would believe the key without asking again.

Only ordinary heads are remembered (no body, no upgrade, no trace of the caller's), from their second time on, and under
their SHA-256: neither a head nor a key is held in the clear. Refusals are not remembered: they are counted by address.
"""

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from gateway import forwarding
from gateway.ends import ClientRequest, Deadlines
from gateway.policies.confine_key import is_bearer

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from domain.snapshots import KeySnapshot, Match, PlanSnapshot
    from gateway.exchange import Exchange

MOST_HELD = 4_096
MOST_WEIGHT = 16 << 20
"""Bytes that all of them take, about: callers choose how long their heads are. 4,096 ordinary ones stay below."""
LONGEST_HEAD_FIELDS = 40
_FIXED_WEIGHT, _FIELD_WEIGHT = 1_500, 150
EXPIRY_CHECKED_SECONDS = 1.0
"""Keys that expire do so by the wall clock, which may be set: it is looked at this often."""


class Catalog(Protocol):
    """What validity hangs on; `domain.catalog`'s, but in `gateway.bare`."""

    version: int

    def good_until(self, presented: bytes) -> float:
        """Monotonic seconds."""


class Admission:
    """Everything that is the same for every request with these bytes from this peer; shared, so never changed.

    `heads` has, by the upstream's URL, its request head without the fields that differ each time. `request` has no
    credentials in its fields. `bucket` and `log` belong to who limits and who records: what is the same each time.
    """

    __slots__ = (
        "address", "bucket", "deadlines", "good_until_ns", "heads", "key", "log", "matched", "plan", "request", "upstream",
        "version", "weight",
    )  # fmt: skip

    def __init__(self, exchange: "Exchange", request: ClientRequest, version: int, good_until: float) -> None:
        self.request, self.version, self.good_until_ns = request, version, int(good_until * 1e9)
        self.matched: Match = exchange.matched
        self.key: KeySnapshot = exchange.key
        self.plan: PlanSnapshot = exchange.plan
        self.address = exchange.address
        service = exchange.matched.service
        self.deadlines: Deadlines = forwarding.deadlines(service)
        self.heads = {origin.url: forwarding.fixed_head(exchange, origin) for origin in service.upstreams}
        self.upstream = forwarding.known_request(request)
        self.bucket: Bucket | None = None
        self.log: Any = None
        self.weight = _FIXED_WEIGHT + 2 * len(request.target_path + request.query)
        self.weight += sum(_FIELD_WEIGHT + len(name) + len(value) for name, value in request.headers)
        self.weight += sum(map(len, self.heads.values()))


class Admissions:
    """One worker's memory of admissions: bounded in number and in bytes, first in first out."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._held: OrderedDict[bytes, Admission] = OrderedDict()
        self._weight = 0
        self._seen: set[bytes] = set()
        self.get = self._held.get
        """The admission under a mark, or None; whether it still stands is for `stands`."""

    def stands(self, admission: Admission, now_ns: int) -> bool:
        """Whether the free policies would decide the same now (monotonic nanoseconds)."""
        return admission.version == self.catalog.version and now_ns < admission.good_until_ns

    def remember(self, mark: bytes, exchange: "Exchange") -> None:
        """Keep what the free policies decided for the head under `mark`, if that may be done and was asked before."""
        if mark not in self._seen:
            if len(self._seen) >= MOST_HELD:
                self._seen.clear()
            self._seen.add(mark)
            return
        request, catalog = exchange.request, self.catalog
        if request.body != 0 or request.upgrade or request.version != "1.1" or _is_traced(request):
            return
        now, version = time.monotonic(), catalog.version
        good_until = catalog.good_until(exchange.key_bytes)
        if exchange.key.expires_at is not None:
            good_until = min(good_until, now + EXPIRY_CHECKED_SECONDS, now + exchange.key.expires_at - time.time())
        if good_until <= now or len(request.headers) > LONGEST_HEAD_FIELDS:
            return
        admission = Admission(exchange, _without_key(exchange), version, good_until)
        replaced = self._held.pop(mark, None)
        self._weight += admission.weight - (replaced.weight if replaced is not None else 0)
        self._held[mark] = admission
        while self._weight > MOST_WEIGHT or len(self._held) > MOST_HELD:
            self._weight -= self._held.popitem(last=False)[1].weight


def _is_traced(request: ClientRequest) -> bool:
    return any(name == b"traceparent" for name, _ in request.headers)


def _without_key(exchange: "Exchange") -> ClientRequest:
    request, key = exchange.request, exchange.key_bytes
    fields = [
        (name, value) for name, value in request.headers if name != b"x-api-key" and not is_bearer(name, value, key)
    ]
    return ClientRequest(
        request.method, request.target_path, request.query, request.has_query, request.version, fields, 0,
        request.peer, 0, request.scheme,
    )  # fmt: skip

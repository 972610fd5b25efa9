"""The two parts of a known head, the request line and the rest, and what was decided where they met.

Each holds what is the same for every request with the same bytes in that part, so that any known line with any known
fields makes a whole. They are shared, so never changed, but for what belongs to who limits.
"""

from typing import TYPE_CHECKING

from domain.prices import price_micro
from gateway import forwarding
from gateway.ends import ClientRequest, Deadlines, Headers, UpstreamRequest
from gateway.policies.confine_key import SHORTEST, is_bearer, spellings
from gateway.recording import parts_of

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from domain.snapshots import KeySnapshot, Match, PlanSnapshot
    from gateway.charges import Charge
    from gateway.exchange import Exchange

_LINE_WEIGHT, _FIELDS_WEIGHT, _FIELD_WEIGHT = 1_000, 1_200, 150


class KnownLine:
    """A request line. `heads` has, by the upstream's URL, its request head as far as the line says it.

    `route` stands for the service's operation, or the service where none is declared, while `version` is the catalog's.
    `texts` is whatever a key could be found in.
    """

    __slots__ = ("deadlines", "heads", "log", "matched", "request", "route", "texts", "upstream", "version", "weight")

    def __init__(self, exchange: "Exchange", heads: dict[str, bytes], version: int) -> None:
        request = exchange.request
        self.version, self.heads = version, heads
        self.matched: Match = exchange.matched
        self.route = id(exchange.matched.operation or exchange.matched.service)
        self.deadlines: Deadlines = forwarding.deadlines(exchange.matched.service)
        self.upstream: UpstreamRequest = forwarding.known_request(request)
        self.request = request.method, request.target_path, request.query, request.has_query
        self.texts = spellings(request.target_path) + b"\n" + spellings(request.query)
        self.log = parts_of(exchange, confined=True)[0]
        self.weight = _LINE_WEIGHT + 6 * len(request.target_path + request.query)
        self.weight += sum(len(url) + len(head) for url, head in heads.items())

    def let_go(self) -> None:
        """It is remembered no more; nothing that it holds leads back to it."""


class KnownFields:
    """Everything behind a request line, and the peer: who calls. There are no credentials in `headers`.

    `key_at` is where the key stands in these bytes; None for one that is too short to be looked for.
    `admissions` are by `KnownLine.route`.
    """

    __slots__ = (
        "address", "admissions", "good_until_ns", "headers", "key", "key_at", "lines", "log", "peer", "plan", "scheme",
        "version", "weight",
    )  # fmt: skip

    def __init__(self, exchange: "Exchange", raw: bytes, lines: bytes, version: int, good_until: float) -> None:
        request, key = exchange.request, exchange.key_bytes
        self.version, self.good_until_ns, self.lines = version, int(good_until * 1e9), lines
        self.key: KeySnapshot = exchange.key
        self.plan: PlanSnapshot = exchange.plan
        self.address, self.peer, self.scheme = exchange.address, request.peer, request.scheme
        start = raw.find(key)
        self.key_at = slice(start, start + len(key)) if len(key) >= SHORTEST else None
        self.headers: Headers = [
            (name, value) for name, value in request.headers if name != b"x-api-key" and not is_bearer(name, value, key)
        ]
        self.admissions: dict[int, Admission] = {}
        self.log = parts_of(exchange, confined=True)[1]
        self.weight = _FIELDS_WEIGHT + len(lines)
        self.weight += sum(_FIELD_WEIGHT + len(name) + len(value) for name, value in request.headers)

    def let_go(self) -> None:
        """It is remembered no more: what leads back to it goes, so that no collector has to find the circle, which in a
        worker may take an hour. Requests in progress keep their `Admission`.
        """
        self.admissions.clear()


class Admission:
    """What the free policies decided for one caller's request to one operation, or to a service's default one.

    `bucket` and `charge` belong to who limits and who charges: what is the same each time. `owner` is whose identity `KnownLine.route` is, kept so
    that it stays its own.
    """

    __slots__ = ("bucket", "charge", "fields", "owner", "price")

    def __init__(self, fields: KnownFields, matched: "Match") -> None:
        self.fields, self.owner = fields, matched.operation or matched.service
        self.price = price_micro(fields.plan, matched.operation)
        self.bucket: Bucket | None = None
        self.charge: Charge | None = None

    def request(self, line: KnownLine) -> ClientRequest:
        """The request as the client sent it, but for its key."""
        fields = self.fields
        return ClientRequest(*line.request, "1.1", fields.headers, 0, fields.peer, 0, fields.scheme)

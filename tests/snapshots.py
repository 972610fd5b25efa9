"""Snapshots of keys and plans, and rows of the request log, for tests that need no gateway for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.ingesting import storing as ingesting
from domain.ingesting.batches import Batch, Place
from domain.request_ids import new_request_id
from domain.snapshots import NO_ID, KeySnapshot, LimitSnapshot, PlanSnapshot
from tests.journals import dimensions, record


def limit(period: str, amount: int, *, name: str = "", scope: str = "organization", shadow: bool = False):
    return LimitSnapshot(uuid4(), name or period, amount, period, scope, shadow)


def plan(*limits: LimitSnapshot) -> PlanSnapshot:
    # Plain mappings, because workers of the lease tests get plans by pickle.
    return PlanSnapshot(uuid4(), "plan", "Plan", 1, limits, prices={}, quota_costs={})


def key(organization_id: UUID | None = None) -> KeySnapshot:
    return KeySnapshot(
        id=uuid4(),
        organization_id=organization_id or uuid4(),
        organization_slug="acme",
        organization_state="active",
        plan_id=None,
        plan_slug="plan",
        name="key",
        prefix="pe_live_x",
        environment="live",
        scopes=frozenset(),
        allowed_ips=(),
        expires_at=None,
        revoked=False,
    )


@dataclass(slots=True)
class LogRow:
    """One request, with the columns of request_log by their names."""

    id: UUID
    at: datetime
    organization_id: UUID | None
    key_id: UUID | None
    service_id: UUID | None
    operation_id: UUID | None
    method: str
    path: str
    query: str
    status: int
    outcome: str
    refusal: str | None
    limit_name: str | None
    upstream_us: int | None
    total_us: int
    bytes_in: int
    bytes_out: int
    client: str | None
    user_agent: str | None
    cost_micro: int = 0
    trace_id: str | None = None
    decision: bytes = b""

    def record(self) -> bytes:
        """As a worker writes it down."""
        return record(
            id_=self.id.bytes,
            dimensions=dimensions(self.organization_id, self.key_id, self.service_id, self.operation_id),
            at_us=round(self.at.timestamp() * 1e6),
            upstream_us=-1 if self.upstream_us is None else self.upstream_us,
            **{
                name: getattr(self, name)
                for name in ("total_us", "bytes_in", "bytes_out", "cost_micro", "status", "outcome")
            },
            **{name: (getattr(self, name) or "").encode() for name in _TEXTS},
            decision=self.decision,
        )


_TEXTS = ("method", "path", "query", "refusal", "limit_name", "client", "user_agent", "trace_id")


async def store(connection, rows: list[LogRow]) -> None:
    """Store rows as the ingester does, but at once."""
    records = [row.record() for row in rows]
    places = [Place(NO_ID, 0, turn) for turn in range(len(rows))]
    await ingesting.store(connection, Batch(records, places), uuid4())


def log_row(**changes) -> LogRow:
    values = {
        "id": new_request_id(),
        "at": datetime.now(UTC),
        "organization_id": None,
        "key_id": None,
        "service_id": None,
        "operation_id": None,
        "method": "GET",
        "path": "/proxy/items",
        "query": "",
        "status": 200,
        "outcome": "served",
        "refusal": None,
        "limit_name": None,
        "upstream_us": 900,
        "total_us": 1_000,
        "bytes_in": 0,
        "bytes_out": 10,
        "client": "127.0.0.1",
        "user_agent": "test",
    }
    return LogRow(**(values | changes))

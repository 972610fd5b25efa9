"""Snapshots of keys and plans, and rows of the request log, for tests that need no database for them."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.request_ids import new_request_id
from domain.request_log import LogRow
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot


def limit(period: str, amount: int, *, name: str = "", scope: str = "organization", shadow: bool = False):
    return LimitSnapshot(uuid4(), name or period, amount, period, scope, shadow)


def plan(*limits: LimitSnapshot) -> PlanSnapshot:
    return PlanSnapshot(uuid4(), "plan", "Plan", 1, limits)


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

"""Reading deliveries: what was sent where, when, and what the receiver said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.cursors import Cursor, parse_cursor
from domain.faults import InvalidValue, NotFound
from domain.webhooks.event_types import BY_NAME
from domain.webhooks.schedule import MOST_ATTEMPTS
from domain.webhooks.sending import fixed_headers

STATES = ("waiting", "delivered", "failed")
_COLUMNS = (
    "d.id, d.created_at, d.event_id, v.type as event_type, v.created_at as event_created_at, d.endpoint_id, e.url,"
    " d.state, case when d.state = 'waiting' then d.due_at end as due_at, d.attempts, d.ended_at, d.response_status,"
    " d.duration_ms, d.last_error"
)
_FROM = (
    " from webhook_delivery d join webhook_event v on v.id = d.event_id join webhook_endpoint e on e.id = d.endpoint_id"
)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event on its way to one endpoint. `due_at` is the next try, `ended_at` when it was delivered or given up.

    `response_status` and `duration_ms` are of the last attempt; None where none was made or no answer came.
    """

    id: UUID
    created_at: datetime
    event_id: UUID
    event_type: str
    event_created_at: datetime
    endpoint_id: UUID
    url: str
    state: str
    due_at: datetime | None
    attempts: int
    ended_at: datetime | None
    response_status: int | None
    duration_ms: int | None
    last_error: str

    @property
    def standing(self) -> str:
        """The state as people see it: one that waits after an attempt is retrying."""
        return "retrying" if self.state == "waiting" and self.attempts else self.state


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    """A delivery with what was posted, byte for byte, and the beginning of the last answer."""

    record: DeliveryRecord
    payload: str
    response_excerpt: str

    @property
    def headers(self) -> dict[str, str]:
        """What each attempt carries. Time and signature are made anew for each, and not kept."""
        return {
            **fixed_headers(),
            "webhook-id": str(self.record.event_id),
            "webhook-timestamp": "the second of the attempt, as Unix time",
            "webhook-signature": "v1,... made with the endpoint's secret; two of them while both secrets sign",
        }

    @property
    def attempts_left(self) -> int:
        """How many more are made if none succeeds."""
        return MOST_ATTEMPTS - self.record.attempts if self.record.state == "waiting" else 0


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries: None leaves a side open."""

    endpoint_id: UUID | None = None
    state: str | None = None
    event_type: str | None = None

    def checked(self) -> "DeliveryFilter":
        """The same. Raises InvalidValue for a state or event that is none."""
        if self.state is not None and self.state not in STATES:
            raise InvalidValue(f"The state is one of {', '.join(STATES)}.")
        if self.event_type is not None and self.event_type not in BY_NAME:
            raise InvalidValue("There is no such event. The event reference lists all of them.")
        return self


async def list_deliveries(
    connection: Any, access: Access, which: DeliveryFilter, *, cursor: str | None = None, limit: int = 50
) -> tuple[list[DeliveryRecord], str | None]:
    """A page of deliveries, newest first, and the cursor of the next. Raises Forbidden, InvalidValue."""
    access.require(Permission.VIEW)
    which, after = which.checked(), parse_cursor(cursor)
    rows = await connection.fetch(
        f"select {_COLUMNS}{_FROM} where d.organization_id = $1 and ($2::uuid is null or d.endpoint_id = $2)"
        " and ($3::text is null or d.state = $3) and ($4::text is null or v.type = $4)"
        " and ($5::timestamptz is null or (d.created_at, d.id) < ($5, $6::uuid))"
        " order by d.created_at desc, d.id desc limit $7",
        access.organization_id,
        which.endpoint_id,
        which.state,
        which.event_type,
        after.at if after else None,
        after.id if after else None,
        limit + 1,
    )
    records = [DeliveryRecord(**dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return records, str(Cursor(records[-1].created_at, records[-1].id)) if more else None


async def fetch_delivery(connection: Any, access: Access, delivery_id: UUID) -> DeliveryDetail:
    """One delivery. Raises Forbidden, NotFound."""
    access.require(Permission.VIEW)
    row = await connection.fetchrow(
        f"select {_COLUMNS}, v.payload::text as payload, d.response_excerpt{_FROM}"
        " where d.id = $1 and d.organization_id = $2",
        delivery_id,
        access.organization_id,
    )
    if row is None:
        raise NotFound("There is no such delivery.")
    fields = dict(row)
    payload, excerpt = fields.pop("payload"), fields.pop("response_excerpt")
    return DeliveryDetail(DeliveryRecord(**fields), payload, excerpt)

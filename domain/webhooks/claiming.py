"""Taking deliveries that are due, and writing down how the attempt went.

A claim moves `due_at` ahead by a lease and counts the attempt, so whoever dies in the middle loses only time: the
delivery becomes due again. What an attempt found is only written if nobody has claimed the delivery since.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from domain.webhooks.endpoints import give_up_waiting
from domain.webhooks.schedule import pause_after
from domain.webhooks.sending import Outcome
from domain.webhooks.switching_off import Teller, switch_off

LEASE = timedelta(seconds=60)
"""Longer than any attempt may take."""
MOST_OF_ONE_ENDPOINT = 4
"""Deliveries to one endpoint at a time: who hangs does not keep the others waiting."""
_OFF = "The endpoint was switched off or deleted before this was sent."


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """One attempt to make: where to, what, and the sealed secrets to sign with. `attempts` counts this one."""

    id: UUID
    attempts: int
    created_at: datetime
    event_id: UUID
    endpoint_id: UUID
    organization_id: UUID
    url: str
    secret: bytes
    old_secret: bytes | None
    payload: str


_CLAIM = (
    "with placed as (select id, due_at, row_number() over (partition by endpoint_id order by due_at) as place,"
    " row_number() over (partition by organization_id order by due_at)"
    " + coalesce((select w.under_way from unnest($6::uuid[], $7::bigint[]) as w (of, under_way) where w.of = organization_id), 0)"
    " as turn from webhook_delivery where state = 'waiting' and due_at <= $1 and endpoint_id <> all($4)),"
    " taken as (select d.id from webhook_delivery d join placed p on p.id = d.id and p.place <= $5 and p.turn <= $8"
    " where d.state = 'waiting' and d.due_at <= $1 order by p.turn, d.due_at limit $2 for update of d skip locked),"
    " claimed as (update webhook_delivery d set attempts = d.attempts + 1, due_at = $1 + $3::interval"
    " from taken t where d.id = t.id returning d.*)"
    " select c.id, c.attempts, c.created_at, c.event_id, c.endpoint_id, c.organization_id, e.url, e.secret,"
    " case when e.old_secret_until > $1 then e.old_secret end as old_secret, v.payload::text as payload,"
    " e.disabled_at is not null or e.deleted_at is not null as off"
    " from claimed c join webhook_endpoint e on e.id = c.endpoint_id join webhook_event v on v.id = c.event_id"
)


async def claim_due(
    connection: Any,
    now: datetime,
    *,
    most: int,
    busy: Collection[UUID] = (),
    under_way: Mapping[UUID, int] = MappingProxyType({}),
    share: int = 1_000,
) -> list[Claim]:
    """At most `most` deliveries that are due, none to the endpoints in `busy`. What is for an endpoint that is off ends.

    Organizations take turns, and none gets more than `share`, with those that are `under_way`: who has many endpoints that
    hang keeps nobody else waiting.
    """
    rows = await connection.fetch(
        _CLAIM, now, most, LEASE, list(busy), MOST_OF_ONE_ENDPOINT, list(under_way), list(under_way.values()), share
    )
    claims = []
    for row in rows:
        fields = dict(row)
        if fields.pop("off"):
            await give_up_waiting(connection, fields["endpoint_id"], _OFF)
        else:
            claims.append(Claim(**fields))
    return claims


async def settle(connection: Any, claim: Claim, outcome: Outcome, now: datetime, teller: Teller) -> None:
    """Write down an attempt: delivered, to be tried again, or given up; 410 and long failure switch the endpoint off."""
    pause = None if outcome.gone else pause_after(claim.attempts, claim.id)
    state = "delivered" if outcome.delivered else "failed" if pause is None else "waiting"
    async with connection.transaction():
        written = await connection.fetchval(
            "update webhook_delivery set state = $3, due_at = case when $3 = 'waiting' then $4 else due_at end,"
            " ended_at = case when $3 <> 'waiting' then $5::timestamptz end, response_status = $6,"
            " response_excerpt = $7, duration_ms = $8, last_error = $9"
            " where id = $1 and attempts = $2 and state = 'waiting' returning true",
            claim.id,
            claim.attempts,
            state,
            now + (pause or timedelta()),
            now,
            outcome.status,
            outcome.excerpt,
            outcome.duration_ms,
            outcome.error,
        )
        if written and state == "failed":
            failing_since = None if outcome.gone else claim.created_at
            if await switch_off(connection, teller, claim.endpoint_id, now, failing_since=failing_since):
                await give_up_waiting(connection, claim.endpoint_id, _OFF)

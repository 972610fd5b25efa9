"""Endpoints of an organization: where it wants to be told of events. A secret leaves here once, when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import audit
from domain.access import Access, Permission
from domain.faults import Conflict, InvalidValue, NotFound
from domain.open_organizations import held_state
from domain.portal_settings import SecretSettings
from domain.sealing import seal
from domain.webhooks.addresses import Guard
from domain.webhooks.endpoint_reading import COLUMNS, EndpointRecord, fetch_endpoint
from domain.webhooks.event_types import valid_event_types
from domain.webhooks.signing import new_secret, secret_text

PURPOSE = "webhook"
MOST_ENDPOINTS = 20
DESCRIPTION_LENGTH = 500
LONGEST_OVERLAP = timedelta(days=7)
BY_HAND = "Switched off by hand."


@dataclass(frozen=True, slots=True, repr=False)
class CreatedEndpoint:
    """An endpoint and, the only time, its new secret."""

    record: EndpointRecord
    secret: str

    def __repr__(self) -> str:
        return f"CreatedEndpoint({self.record.id})"


async def create_endpoint(
    connection: Any,
    access: Access,
    actor: audit.Actor,
    guard: Guard,
    secrets: SecretSettings,
    *,
    url: str,
    description: str = "",
    event_types: list[str] | None = None,
) -> CreatedEndpoint:
    """A new endpoint; no event types: all. Raises Forbidden, InvalidValue, Conflict where there are 20."""
    access.require(Permission.BUILD)
    url = await guard.check_url(url.strip())
    endpoint_id, secret = uuid4(), new_secret()
    # The lock orders creations of one organization; the statement behind it sees what the one before has made.
    await held_state(connection, access.organization_id, alone=True)
    row = await connection.fetchrow(
        "insert into webhook_endpoint (id, organization_id, url, description, event_types, secret)"
        " select $1, $2, $3, $4, $5, $6 where (select count(*) from webhook_endpoint"
        f" where organization_id = $2 and deleted_at is null) < $7 returning {COLUMNS}",
        endpoint_id,
        access.organization_id,
        url,
        _valid_description(description),
        valid_event_types(event_types or []),
        seal(secrets, secret, purpose=PURPOSE, owner=str(endpoint_id)),
        MOST_ENDPOINTS,
    )
    if row is None:
        raise Conflict(f"An organization has at most {MOST_ENDPOINTS} endpoints. Delete one first.")
    record = EndpointRecord(**dict(row))
    await _record(connection, access, actor, audit.Verb.WEBHOOK_CREATE, record, after=_facts(record))
    return CreatedEndpoint(record, secret_text(secret))


async def change_endpoint(
    connection: Any,
    access: Access,
    actor: audit.Actor,
    guard: Guard,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    description: str | None = None,
    event_types: list[str] | None = None,
    enabled: bool | None = None,
) -> EndpointRecord:
    """Change what is given. Switching off gives up what waits. Raises Forbidden, NotFound, InvalidValue."""
    access.require(Permission.BUILD)
    if enabled:
        await held_state(connection, access.organization_id)
    before = await fetch_endpoint(connection, access, endpoint_id)
    if url is not None and (url := url.strip()) != before.url:
        await guard.check_url(url)
    row = await connection.fetchrow(
        "update webhook_endpoint set url = coalesce($3, url), description = coalesce($4, description),"
        " event_types = coalesce($5, event_types),"
        " disabled_at = case when $6 then null when not $6 then coalesce(disabled_at, now()) else disabled_at end,"
        " disabled_reason = case when $6 then '' when not $6 and disabled_at is null then $7 else disabled_reason end"
        f" where id = $1 and organization_id = $2 and deleted_at is null returning {COLUMNS}",
        endpoint_id,
        access.organization_id,
        url,
        None if description is None else _valid_description(description),
        None if event_types is None else valid_event_types(event_types),
        enabled,
        BY_HAND,
    )
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    after = EndpointRecord(**dict(row))
    if before.enabled and not after.enabled:
        await give_up_waiting(connection, endpoint_id, after.disabled_reason)
    old, new = _facts(before), _facts(after)
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        await _record(
            connection,
            access,
            actor,
            audit.Verb.WEBHOOK_CHANGE,
            after,
            before={name: old[name] for name in changed},
            after={name: new[name] for name in changed},
        )
    return after


async def rotate_secret(
    connection: Any,
    access: Access,
    actor: audit.Actor,
    secrets: SecretSettings,
    endpoint_id: UUID,
    *,
    overlap: timedelta = timedelta(days=1),
) -> CreatedEndpoint:
    """A new secret; the one before signs too until `overlap` is over. Raises Forbidden, NotFound, InvalidValue."""
    access.require(Permission.BUILD)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidValue(f"Both secrets sign for 0 to {LONGEST_OVERLAP.days * 24} hours.")
    secret = new_secret()
    row = await connection.fetchrow(
        "update webhook_endpoint set old_secret = case when $4 > now() then secret end,"
        " old_secret_until = case when $4 > now() then $4 end, secret = $3"
        f" where id = $1 and organization_id = $2 and deleted_at is null returning {COLUMNS}",
        endpoint_id,
        access.organization_id,
        seal(secrets, secret, purpose=PURPOSE, owner=str(endpoint_id)),
        datetime.now(UTC) + overlap,
    )
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    record = EndpointRecord(**dict(row))
    await _record(
        connection,
        access,
        actor,
        audit.Verb.WEBHOOK_ROTATE_SECRET,
        record,
        after={"both_sign_until": record.old_secret_until},
    )
    return CreatedEndpoint(record, secret_text(secret))


async def delete_endpoint(connection: Any, access: Access, actor: audit.Actor, endpoint_id: UUID) -> None:
    """Delete an endpoint; its deliveries stay to be read, what waits is given up. Raises Forbidden, NotFound."""
    access.require(Permission.BUILD)
    row = await connection.fetchrow(
        "update webhook_endpoint set deleted_at = now(), old_secret = null, old_secret_until = null"
        f" where id = $1 and organization_id = $2 and deleted_at is null returning {COLUMNS}",
        endpoint_id,
        access.organization_id,
    )
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    await give_up_waiting(connection, endpoint_id, "The endpoint was deleted.")
    record = EndpointRecord(**dict(row))
    await _record(connection, access, actor, audit.Verb.WEBHOOK_DELETE, record, before=_facts(record))


async def give_up_waiting(connection: Any, endpoint_id: UUID, reason: str) -> None:
    """Give up what waits for an endpoint that is off or gone."""
    await connection.execute(
        "update webhook_delivery set state = 'failed', ended_at = now(), last_error = $2"
        " where endpoint_id = $1 and state = 'waiting'",
        endpoint_id,
        reason,
    )


def _facts(record: EndpointRecord) -> dict[str, Any]:
    return {
        "url": record.url,
        "description": record.description,
        "events": ", ".join(record.event_types) or "all",
        "enabled": record.enabled,
    }


async def _record(
    connection: Any,
    access: Access,
    actor: audit.Actor,
    verb: audit.Verb,
    record: EndpointRecord,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    thing = audit.Thing("webhook_endpoint", str(record.id), record.url)
    await audit.record(
        connection, actor, verb, thing, organization_id=access.organization_id, before=before, after=after
    )


def _valid_description(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > DESCRIPTION_LENGTH or "\x00" in text:
        raise InvalidValue(f"The description has at most {DESCRIPTION_LENGTH} characters.")
    return text

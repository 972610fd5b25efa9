"""API keys: list, create, change, rotate, revoke."""

from datetime import timedelta
from uuid import UUID

from domain.access import Permission
from domain.cursors import parse_cursor
from domain.key_listing import fetch_entry, list_entries
from domain.keys import CreatedKey
from domain.tenant_keys import KeyChange, KeyWish, change_key, create_key, revoke_key, rotate_key
from portal.api.endpoint import Endpoint
from portal.api.key_models import (
    KeyAnswer,
    KeyCreation,
    KeyQuery,
    KeyRevocation,
    KeyRotation,
    KeyUpdate,
    NewKeyAnswer,
    caps_of,
    facts_of,
)
from portal.api.models import ListPage
from portal.web.visit import Visit


class KeyPage(ListPage[KeyAnswer]):
    """One page of keys, newest first."""


async def show_all(visit: Visit, query: KeyQuery) -> KeyPage:
    """GET /api/keys."""
    found = await list_entries(
        visit.connection,
        visit.access,
        state=query.state or "",
        search=query.search or "",
        cursor=parse_cursor(query.cursor),
        limit=query.limit,
    )
    return KeyPage(
        data=[KeyAnswer(**facts_of(entry)) for entry in found.entries],
        next_cursor=str(found.following) if found.following else None,
    )


async def create(visit: Visit, body: KeyCreation) -> NewKeyAnswer:
    """POST /api/keys."""
    wish = KeyWish(
        name=body.name,
        environment=body.environment,
        scopes=tuple(body.scopes),
        allowed_ips=tuple(body.allowed_ips),
        expires_at=body.expires_at,
        spend_caps=caps_of(body),
    )
    made = await create_key(visit.connection, visit.access, visit.actor, visit.settings.keys, wish)
    return await _made(visit, made)


async def show(visit: Visit, key_id: UUID) -> KeyAnswer:
    """GET /api/keys/{id}."""
    return KeyAnswer(**facts_of(await fetch_entry(visit.connection, visit.access, key_id)))


async def change(visit: Visit, key_id: UUID, body: KeyUpdate) -> KeyAnswer:
    """PATCH /api/keys/{id}."""
    wanted = KeyChange(
        name=body.name,
        scopes=None if body.scopes is None else tuple(body.scopes),
        allowed_ips=None if body.allowed_ips is None else tuple(body.allowed_ips),
        changes_expiry="expires_at" in body.model_fields_set,
        expires_at=body.expires_at,
        spend_caps=caps_of(body),
    )
    await change_key(visit.connection, visit.access, visit.actor, key_id, wanted)
    return await show(visit, key_id)


async def revoke(visit: Visit, key_id: UUID, query: KeyRevocation) -> KeyAnswer:
    """DELETE /api/keys/{id}."""
    await revoke_key(visit.connection, visit.access, visit.actor, key_id, reason=query.reason)
    return await show(visit, key_id)


async def rotate(visit: Visit, key_id: UUID, body: KeyRotation) -> NewKeyAnswer:
    """POST /api/keys/{id}/rotate."""
    overlap = timedelta(seconds=body.overlap_seconds)
    made = await rotate_key(visit.connection, visit.access, visit.actor, visit.settings.keys, key_id, overlap)
    return await _made(visit, made)


async def _made(visit: Visit, made: CreatedKey) -> NewKeyAnswer:
    entry = await fetch_entry(visit.connection, visit.access, made.record.id)
    return NewKeyAnswer(**facts_of(entry), key=made.plaintext)


_VIEW, _BUILD = Permission.VIEW, Permission.BUILD
_ONE = "/keys/{key_id:uuid}"
ENDPOINTS = (
    Endpoint("GET", "/keys", show_all, "List API keys", "keys", answer=KeyPage, query=KeyQuery, permission=_VIEW),
    Endpoint(
        "POST",
        "/keys",
        create,
        "Create an API key",
        "keys",
        body=KeyCreation,
        answer=NewKeyAnswer,
        permission=_BUILD,
        status=201,
        creates=True,
        shown_once=("key",),
        description="The answer has the key, this once. A scope that names nothing is a 409, and so is a past expiry.",
    ),
    Endpoint("GET", _ONE, show, "One API key", "keys", answer=KeyAnswer, permission=_VIEW),
    Endpoint("PATCH", _ONE, change, "Change an API key", "keys", body=KeyUpdate, answer=KeyAnswer, permission=_BUILD),
    Endpoint(
        "DELETE",
        _ONE,
        revoke,
        "Revoke an API key",
        "keys",
        query=KeyRevocation,
        answer=KeyAnswer,
        permission=_BUILD,
        description="For ever, within a second. Again is no change.",
    ),
    Endpoint(
        "POST",
        f"{_ONE}/rotate",
        rotate,
        "Rotate an API key",
        "keys",
        body=KeyRotation,
        answer=NewKeyAnswer,
        permission=_BUILD,
        status=201,
        creates=True,
        shown_once=("key",),
        description="A second key with the same restrictions; the first one stops after the overlap.",
    ),
)

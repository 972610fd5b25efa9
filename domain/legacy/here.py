"""What stands here already of the rows of one batch: asked once for each batch, never for each row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.legacy import LegacyKind


@dataclass(frozen=True, slots=True)
class Known:
    """A row that was imported before: what it became, and how it looked then."""

    new_id: UUID
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Here:
    """`clients` and `keys` by their old ids. `closed`: organizations of `clients` that are closed meanwhile.

    `users` by e-mail: whether the user is disabled; one who has not proven their mailbox counts as none.
    """

    clients: dict[str, Known]
    keys: dict[str, Known]
    closed: frozenset[UUID]
    organization_ids: frozenset[UUID]
    key_ids: frozenset[UUID]
    digests: frozenset[bytes]
    slugs: frozenset[str]
    users: dict[str, bool]


async def known_rows(connection: Any, source: str, kind: LegacyKind, old_ids: Sequence[str]) -> dict[str, Known]:
    """Those of the rows that were imported before."""
    rows = await connection.fetch(
        "select old_id, new_id, fingerprint from legacy_row where source = $1 and kind = $2 and old_id = any($3)",
        source,
        kind.value,
        old_ids,
    )
    return {row["old_id"]: Known(row["new_id"], row["fingerprint"]) for row in rows}


async def look(
    connection: Any,
    source: str,
    *,
    clients: dict[str, UUID],
    keys: dict[str, UUID],
    digests: Sequence[bytes],
    slugs: Iterable[str],
    emails: Iterable[str],
) -> Here:
    """Ask for the rows of a batch: ids by old ids, and what they would be here."""
    known = await known_rows(connection, source, LegacyKind.CLIENT, list(clients))
    closed = "select id from organization where id = any($1) and state = 'closed'"
    users = await connection.fetch(
        "select email, not active as disabled from users"
        " where email = any($1) and (active or email_verified_at is not null)",
        list(emails),
    )
    return Here(
        clients=known,
        keys=await known_rows(connection, source, LegacyKind.KEY, list(keys)),
        closed=await _column(connection, closed, [each.new_id for each in known.values()]),
        organization_ids=await _column(
            connection, "select id from organization where id = any($1)", list(clients.values())
        ),
        key_ids=await _column(connection, "select id from api_key where id = any($1)", list(keys.values())),
        digests=await _column(connection, "select digest from api_key where digest = any($1)", digests),
        slugs=await _column(connection, "select slug from organization where slug = any($1)", list(slugs)),
        users={row["email"]: row["disabled"] for row in users},
    )


async def _column(connection: Any, query: str, values: Sequence[Any]) -> frozenset[Any]:
    return frozenset(row[0] for row in await connection.fetch(query, values))

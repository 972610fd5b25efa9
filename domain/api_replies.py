"""What the portal's API answered under an Idempotency-Key: claimed, kept and read in the transaction of the change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.faults import Conflict

KEPT_HOURS = 24


@dataclass(frozen=True, slots=True)
class KeptReply:
    """What was answered the first time; `body` is JSON."""

    status: int
    body: str


async def claim(connection: Any, *, scope: str, key: str, fingerprint: str) -> UUID | KeptReply:
    """A claim, if the key is new in its scope, else what was answered. Waits for one that is under way.

    Raises Conflict for a key that was used for another request.
    """
    await connection.execute(
        "delete from api_reply where scope = $1 and key = $2 and created_at < now() - make_interval(hours => $3)",
        scope,
        key,
        KEPT_HOURS,
    )
    claimed: UUID | None = await connection.fetchval(
        "insert into api_reply (scope, key, fingerprint) values ($1, $2, $3)"
        " on conflict on constraint uq_api_reply_scope_key do nothing returning id",
        scope,
        key,
        fingerprint,
    )
    if claimed is not None:
        return claimed
    row = await connection.fetchrow(
        "select status, body from api_reply where scope = $1 and key = $2 and fingerprint = $3", scope, key, fingerprint
    )
    if row is None:
        raise Conflict("This Idempotency-Key was used for another request. Take a new one.")
    return KeptReply(row["status"], row["body"])


async def keep(connection: Any, claimed: UUID, status: int, body: Mapping[str, Any]) -> None:
    """Keep the answer to a claim."""
    await connection.execute(
        "update api_reply set status = $2, body = $3::jsonb where id = $1", claimed, status, json.dumps(dict(body))
    )

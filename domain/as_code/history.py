"""The files that were applied, for good: `applied_config` is append-only by a trigger."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import NotFound

COLUMNS = "id, created_at, actor_name, sha256, summary"


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """One file as it was applied, or the state that an apply met and nobody had applied.

    `summary` has `changes` (how many), `kind` (apply, rollback, found), and `state`, the digest of what there was
    afterwards.
    """

    id: UUID
    created_at: datetime
    actor_name: str
    sha256: str
    summary: dict[str, Any]


async def keep(connection: Any, *, actor_name: str, text: str, summary: dict[str, Any]) -> UUID:
    """Write one row on the caller's connection, in the transaction of the change; its id."""
    applied_id: UUID = await connection.fetchval(
        "insert into applied_config (actor_name, sha256, text, summary, created_at)"
        " values ($1, $2, $3, $4::jsonb, clock_timestamp()) returning id",
        actor_name,
        hashlib.sha256(text.encode()).hexdigest(),
        text,
        json.dumps(summary),
    )
    return applied_id


async def latest(connection: Any) -> AppliedConfig | None:
    """The last one; None before the first."""
    found = await list_applied(connection, limit=1)
    return found[0] if found else None


async def list_applied(connection: Any, *, limit: int = 100) -> list[AppliedConfig]:
    """The last ones, newest first."""
    rows = await connection.fetch(
        f"select {COLUMNS} from applied_config order by created_at desc, id desc limit $1", limit
    )
    return [AppliedConfig(**{**dict(row), "summary": json.loads(row["summary"])}) for row in rows]


async def text_of_applied(connection: Any, applied_id: UUID) -> str:
    """The text of one. Raises NotFound."""
    text: str | None = await connection.fetchval("select text from applied_config where id = $1", applied_id)
    if text is None:
        raise NotFound(f"Nothing was applied under the id {applied_id}.")
    return text

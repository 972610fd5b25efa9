"""What the audit says of something that an operator did."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Written:
    """One entry: what it says of the change."""

    verb: str
    name: str
    before: Any
    after: Any
    reason: str
    actor: str


async def written(office, object_id, verb: str | None = None) -> list[Written]:
    """The entries about an object, oldest first; of one verb, or of all."""
    rows = await office.pool.fetch(
        "select * from audit_entry where object_id = $1 and ($2::text is null or verb = $2) order by created_at, id",
        str(object_id),
        verb,
    )
    return [
        Written(
            row["verb"],
            row["object_name"],
            json.loads(row["before"] or "null"),
            json.loads(row["after"] or "null"),
            row["reason"],
            row["actor_name"],
        )
        for row in rows
    ]

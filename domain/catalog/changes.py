"""What the database says when something changed that the catalog holds."""

import json
from dataclasses import dataclass
from uuid import UUID

CHANNEL = "paid_endpoint_catalog"
GENERATION_SQL = "select last_value from catalog_generation"


@dataclass(frozen=True, slots=True)
class Change:
    """One changed row. `row_id` is None for a whole table (truncate) and for what could not be read."""

    table: str
    row_id: UUID | None
    organization_id: UUID | None
    generation: int


def parse_change(payload: str) -> Change:
    """The change in a notification; an unreadable one is a change of everything, table `""`."""
    try:
        fields = json.loads(payload)
        row, organization = fields.get("id"), fields.get("org")
        return Change(
            table=str(fields["t"]),
            row_id=UUID(row) if isinstance(row, str) else None,
            organization_id=UUID(organization) if organization else None,
            generation=int(fields.get("g") or 0),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Change("", None, None, 0)

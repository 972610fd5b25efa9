"""Other amounts of a plan's limits for one organization, for good or until a moment."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue, NotFound
from domain.lifecycle import LIVE
from domain.limit_texts import LARGEST_AMOUNT
from domain.plan_versions import terms_of
from domain.snapshots import LimitOverride, LimitSnapshot

_COLUMNS = "limit_name, amount, shadow, until, reason, created_at"
_TERMS = f"select plan_id, plan_version_id from subscription where organization_id = $1 and state in {LIVE}"
_UPSERT = f"""
    insert into limit_override (organization_id, limit_name, amount, shadow, until, reason) values ($1, $2, $3, $4, $5, $6)
    on conflict on constraint uq_limit_override_organization_id_limit_name do update
    set amount = excluded.amount, shadow = excluded.shadow, until = excluded.until, reason = excluded.reason
    returning {_COLUMNS}
"""


@dataclass(frozen=True, slots=True)
class LimitOverrideRecord:
    """One row; what is None is as the plan says, `until` None is for good."""

    limit_name: str
    amount: int | None
    shadow: bool | None
    until: datetime | None
    reason: str
    created_at: datetime


def holding(overrides: Iterable[LimitOverride], now: float) -> tuple[LimitOverride, ...]:
    """Those that hold at `now` (Unix seconds)."""
    return tuple(override for override in overrides if override.until is None or now < override.until)


def overridden(limits: tuple[LimitSnapshot, ...], overrides: Iterable[LimitOverride]) -> tuple[LimitSnapshot, ...]:
    """The limits with what overrides say of them by name; each keeps its id, and so what it has counted."""
    by_name = {override.name: override for override in overrides}
    return tuple(_with(limit, by_name.get(limit.name)) for limit in limits)


def _with(limit: LimitSnapshot, override: LimitOverride | None) -> LimitSnapshot:
    if override is None:
        return limit
    return replace(
        limit,
        amount=limit.amount if override.amount is None else override.amount,
        shadow=limit.shadow if override.shadow is None else override.shadow,
    )


async def override_limit(
    connection: Any,
    organization_id: UUID,
    name: str,
    *,
    amount: int | None = None,
    shadow: bool | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> LimitOverrideRecord:
    """Set the organization's override of one limit; a former one of that limit is replaced.

    Raises InvalidValue; NotFound if the terms of its live subscription have no such limit.
    """
    if amount is None and shadow is None:
        raise InvalidValue("Say an amount, or whether it is only counted.")
    if amount is not None and not 1 <= amount <= LARGEST_AMOUNT:
        raise InvalidValue(f"The amount lies between 1 and {LARGEST_AMOUNT}.")
    if until is not None and until <= datetime.now(UTC):
        raise InvalidValue("The override would end before it begins.")
    async with connection.transaction():
        live = await connection.fetchrow(_TERMS, organization_id)
        names = [limit.name for limit in (await terms_of(connection, *live)).limits] if live else []
        if name not in names:
            raise NotFound(f"The organization's plan has no limit {name}; it has: {', '.join(names) or 'none'}.")
        row = await connection.fetchrow(_UPSERT, organization_id, name, amount, shadow, until, reason)
    return LimitOverrideRecord(**dict(row))


async def drop_override(connection: Any, organization_id: UUID, name: str) -> None:
    """The limit is again as the plan says. Raises NotFound."""
    dropped = await connection.fetchval(
        "delete from limit_override where organization_id = $1 and limit_name = $2 returning id", organization_id, name
    )
    if dropped is None:
        raise NotFound(f"The organization has no override of the limit {name}.")


async def list_overrides(connection: Any, organization_id: UUID) -> list[LimitOverrideRecord]:
    """All of one organization by name, those that have ended too."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from limit_override where organization_id = $1 order by limit_name", organization_id
    )
    return [LimitOverrideRecord(**dict(row)) for row in rows]

"""Spend caps: the most credits that an organization, or one of its keys, may be charged in a UTC day or in a period.

A cap is a window like those of a plan's limits, counted in micro-credits. Its id hangs on nothing but its kind, so its
window keeps its count when the amount changes; whose it is, the window's name says.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from domain import audit
from domain.credit_amounts import LARGEST_CREDITS, MICRO, parse_credits
from domain.faults import Conflict, InvalidValue
from domain.key_records import ALIVE, OWNED, KeyRecord, fetch_key, why_unchanged
from domain.organizations import OrganizationRecord, fetch_organization
from domain.snapshots import LimitSnapshot

LARGEST_MICRO = LARGEST_CREDITS * MICRO
"""10**15 micro-credits: far within what Redis's Lua counts exactly (2**53)."""

PERIODS = ("day", "month")
NAMES = {
    ("organization", "day"): "spend_cap.day",
    ("organization", "month"): "spend_cap.month",
    ("key", "day"): "key_spend_cap.day",
    ("key", "month"): "key_spend_cap.month",
}
"""By scope and period. No limit of a plan can have a name with a dot."""
IDS = {kind: uuid5(NAMESPACE_OID, f"paid-endpoint:{name}") for kind, name in NAMES.items()}

CapChange = Mapping[str, int | None]
"""Micro-credits by period (`day`, `month`); None takes a cap off, a period that is not named stays as it is."""

_SET = ", ".join(
    f"spend_cap_{period}_micro = case when ${at} then ${at + 1}::bigint else spend_cap_{period}_micro end"
    for period, at in zip(PERIODS, (3, 5), strict=True)
)


@lru_cache(maxsize=65_536)
def cap_limits(
    organization_day: int | None, organization_month: int | None, key_day: int | None, key_month: int | None
) -> tuple[LimitSnapshot, ...]:
    """The caps that are set, as limits; one tuple for all keys with the same amounts. An amount too large is cut."""
    amounts = dict(zip(NAMES, (organization_day, organization_month, key_day, key_month), strict=True))
    return tuple(
        LimitSnapshot(
            IDS[kind], NAMES[kind], min(amount, LARGEST_MICRO), kind[1], kind[0], shadow=False, unit="credits"
        )
        for kind, amount in amounts.items()
        if amount is not None
    )


def parse_cap(text: str) -> int | None:
    """Micro-credits of a cap as people write it, such as `5.00`; None for `none`. Raises InvalidValue."""
    return None if text == "none" else parse_credits(text)


async def set_organization_caps(connection: Any, slug: str, caps: CapChange) -> OrganizationRecord:
    """Set, change or take off caps of an organization. Raises NotFound, InvalidValue, Conflict if it is closed."""
    changed = await connection.fetchval(
        f"update organization set {_SET} where slug = $1 and state <> $2 returning id", slug, "closed", *_given(caps)
    )
    found = await fetch_organization(connection, slug if changed is None else changed)
    if changed is None:
        raise Conflict(f"The organization {slug} is closed.")
    return found


async def change_organization_caps(
    connection: Any, actor: audit.Actor, organization_id: UUID, caps: CapChange, *, reason: str = ""
) -> OrganizationRecord:
    """The same with its entry in the audit, whoever does it. The caller is in a transaction and holds the organization's row."""
    before = await fetch_organization(connection, organization_id)
    after = await set_organization_caps(connection, before.slug, caps)
    await audit.record(
        connection,
        actor,
        audit.Verb.SPEND_CAP_CHANGE,
        audit.Thing("organization", str(after.id), after.name),
        organization_id=after.id,
        before={"day_micro": before.spend_cap_day_micro, "month_micro": before.spend_cap_month_micro},
        after={"day_micro": after.spend_cap_day_micro, "month_micro": after.spend_cap_month_micro},
        reason=reason,
    )
    return after


async def set_key_caps(connection: Any, key_id: UUID, caps: CapChange, *, organization_id: UUID | None) -> KeyRecord:
    """The same of a living key. `organization_id` None is the operator. Raises NotFound, Conflict, InvalidValue."""
    changed = await connection.fetchval(
        f"update api_key k set {_SET} where {OWNED} and {ALIVE} returning id", key_id, organization_id, *_given(caps)
    )
    if changed is None:
        raise await why_unchanged(connection, key_id, organization_id)
    return await fetch_key(connection, key_id, organization_id=organization_id)


def valid_cap(micro: int | None) -> int | None:
    """An amount of micro-credits that can be counted, or None. Raises InvalidValue."""
    if micro is not None and not 0 <= micro <= LARGEST_MICRO:
        raise InvalidValue(f"A spend cap lies between 0 and {LARGEST_CREDITS} credits.")
    return micro


def _given(caps: CapChange) -> list[bool | int | None]:
    values: list[bool | int | None] = []
    for period in PERIODS:
        values += [period in caps, valid_cap(caps.get(period))]
    return values

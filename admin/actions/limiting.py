"""Actions on an organization's own limits: another amount for a time, an end of that, spend caps."""

from typing import Annotated, Literal

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Cap, Moment
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.actions.subscription_changes import limit_says
from admin.actions.wording import credits_, to_organization, utc
from admin.web.visit import Visit
from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_overrides import LimitOverrideRecord, overridden
from domain.limit_texts import LARGEST_AMOUNT
from domain.operating import limits
from domain.operators import Right
from domain.organizations import OrganizationRecord, fetch_organization
from domain.plan_versions import terms_of
from domain.snapshots import LimitOverride, LimitSnapshot
from domain.spend_caps import CapChange
from domain.subscription_rows import fetch_subscription

_COUNTED = {"": None, "yes": True, "no": False}


class OneLimit(Values):
    """Which limit of the organization's plan."""

    organization: Slug
    limit: Annotated[str, Constraint(min_length=1, max_length=40)]


class Override(OneLimit):
    """What the limit shall be instead."""

    amount: Annotated[int, Constraint(ge=1, le=LARGEST_AMOUNT)] | None = None
    counted: Literal["", "yes", "no"] = ""
    until: Moment | None = None

    @property
    def shadow(self) -> bool | None:
        """Whether it is only counted; None: as the plan says."""
        return _COUNTED[self.counted]


class Caps(Values):
    """The caps that change."""

    organization: Slug
    day: Cap = None
    month: Cap = None

    @property
    def change(self) -> CapChange:
        """Those that were filled in."""
        return {name: getattr(self, name) for name in ("day", "month") if name in self.model_fields_set}


async def _preview_overriding(visit: Visit, values: Override) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    if values.amount is None and values.shadow is None:
        raise InvalidValue("Say an amount, or whether it is only counted.")
    now = await visit.connection.fetchval("select now()")
    if values.until is not None and values.until <= now:
        raise InvalidValue(f"It would end before it begins: {utc(values.until)} is past.")
    limit = await _limit_of(visit, found, values.limit)
    held = await limits.find_override(visit.connection, found, values.limit)
    lasting = held if held and (held.until is None or held.until > now) else None
    before = _as_overridden(limit, lasting)
    after = _as_overridden(limit, values)
    end = utc(values.until, none="somebody ends it")
    warnings = () if after.shadow or after.amount >= limit.amount else ("This is less than the plan gives.",)
    return Preview(
        (
            f"For {found.name} the limit {limit.name} is another one within a second, until {end}.",
            f"What is used up of it already stays counted. Then it is as the plan says again: {limit_says(limit)}.",
        ),
        (
            (f"Limit {limit.name}", limit_says(before), limit_says(after)),
            ("Until", utc(lasting.until, none="for good") if lasting else "\u2013", end),
        ),
        warnings,
    )


async def _override(visit: Visit, values: Override, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    made = await limits.override(
        visit.connection,
        visit.actor,
        found,
        values.limit,
        amount=values.amount,
        shadow=values.shadow,
        until=values.until,
        reason=reason,
    )
    end = ("End it", f"/actions/end-override?organization={found.slug}&limit={made.limit_name}")
    until = utc(made.until, none="somebody ends it")
    return Outcome(
        f"The limit {made.limit_name} of {found.name} is another one until {until}.", (*to_organization(found), end)
    )


async def _preview_ending(visit: Visit, values: OneLimit) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    held = await limits.find_override(visit.connection, found, values.limit)
    if held is None:
        raise NotFound(f"{found.name} has no override of a limit {values.limit}.")
    limit = await _limit_of(visit, found, values.limit)
    return Preview(
        (f"For {found.name} the limit {limit.name} is as the plan says within a second.",),
        ((f"Limit {limit.name}", limit_says(_as_overridden(limit, held)), limit_says(limit)),),
        notes=(f"It would have ended: {utc(held.until)}.",),
    )


async def _end(visit: Visit, values: OneLimit, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    await limits.end_override(visit.connection, visit.actor, found, values.limit, reason=reason)
    return Outcome(f"The limit {values.limit} of {found.name} is as the plan says.", to_organization(found))


async def _preview_capping(visit: Visit, values: Caps) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    now = {"day": found.spend_cap_day_micro, "month": found.spend_cap_month_micro}
    named = {"day": "Most credits of a UTC day", "month": "Most credits of a period"}
    changes = tuple(
        (named[name], credits_(now[name], none="no cap"), credits_(then, none="no cap"))
        for name, then in values.change.items()
        if now[name] != then
    )
    if not changes:
        raise Conflict(f"That is how the caps of {found.name} stand already.")
    return Preview(
        (f"Requests of {found.name} that would cost more are refused with 402 within a second.",),
        changes,
    )


async def _cap(visit: Visit, values: Caps, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    await limits.set_caps(visit.connection, visit.actor, found, values.change, reason=reason)
    return Outcome(f"The spend caps of {found.name} are others.", to_organization(found))


async def _limit_of(visit: Visit, found: OrganizationRecord, name: str) -> LimitSnapshot:
    subscription = await fetch_subscription(visit.connection, found.id)
    if subscription is None or not subscription.live:
        raise Conflict(f"{found.name} has no live subscription, and so no limits.")
    terms = await terms_of(visit.connection, subscription.plan_id, subscription.plan_version_id)
    limit = next((each for each in terms.limits if each.name == name), None)
    if limit is None:
        there = ", ".join(each.name for each in terms.limits) or "none"
        raise NotFound(f"The organization's plan has no limit {name}; it has: {there}.")
    return limit


def _as_overridden(limit: LimitSnapshot, held: LimitOverrideRecord | Override | None) -> LimitSnapshot:
    said = [LimitOverride(limit.name, held.amount, held.shadow)] if held else []
    return overridden((limit,), said)[0]


_LIMIT = Field("limit", "Limit", maxlength=40, hint="Its name in the plan: hour, day, minute-key.")

ACTIONS = (
    Action(
        slug="override-limit",
        title="Override a limit until a date",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="One organization gets another amount of one limit, until Friday or for good.",
        model=Override,
        fields=(
            ORGANIZATION,
            _LIMIT,
            Field("amount", "Amount", "number", required=False, hint="Empty: as the plan says."),
            Field("until", "Until", "moment", required=False, hint="In UTC. Empty: until somebody ends it."),
            Field(
                "counted",
                "Beyond it",
                "choice",
                options=(
                    ("", "As the plan says"),
                    ("no", "Requests are refused"),
                    ("yes", "Requests are only counted"),
                ),
            ),
        ),
        preview=_preview_overriding,
        carry_out=_override,
        button="Override",
    ),
    Action(
        slug="end-override",
        title="End an override",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="A limit of one organization is again as its plan says.",
        model=OneLimit,
        fields=(ORGANIZATION, _LIMIT),
        preview=_preview_ending,
        carry_out=_end,
        button="End it",
    ),
    Action(
        slug="set-spend-caps",
        title="Set spend caps",
        group="Subscriptions and limits",
        right=Right.SUPPORT,
        summary="The most that an organization may be charged in a day, and in a period.",
        model=Caps,
        fields=(
            ORGANIZATION,
            Field("day", "Credits a day", required=False, maxlength=20, hint="Empty: as it is. none: no cap."),
            Field("month", "Credits a period", required=False, maxlength=20, hint="Empty: as it is. none: no cap."),
        ),
        preview=_preview_capping,
        carry_out=_cap,
        button="Set",
    ),
)

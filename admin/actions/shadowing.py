"""Actions that put a plan's limit in shadow, where it only counts, and enforce it again."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.founding import every_plan
from admin.actions.subscription_changes import limit_says
from admin.actions.wording import Links, counted
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.limit_shadows import affected_by
from domain.operating.limits import shadow_limit
from domain.operators import Right
from domain.plans import PlanRecord, fetch_plan
from domain.snapshots import LimitSnapshot


class PlanLimit(Values):
    """Which limit of which plan."""

    plan: Annotated[str, Constraint(min_length=1, max_length=63)]
    limit: Annotated[str, Constraint(min_length=1, max_length=40)]


async def _preview_shadowing(visit: Visit, values: PlanLimit) -> Preview:
    sentence = "Requests beyond it are served and marked in the logs instead of refused with 429."
    return await _previewed(visit, values, sentence, shadow=True)


async def _preview_enforcing(visit: Visit, values: PlanLimit) -> Preview:
    sentence = "Requests beyond it are refused with 429; what was counted in shadow counts."
    return await _previewed(visit, values, sentence, shadow=False)


async def _previewed(visit: Visit, values: PlanLimit, sentence: str, *, shadow: bool) -> Preview:
    plan = await fetch_plan(visit.connection, values.plan)
    affected = await affected_by(visit.connection, plan.id, values.limit)
    if affected.limit.shadow == shadow:
        raise Conflict(f"The limit {values.limit} of {plan.slug} is {_word(shadow=shadow)} already.")
    everybody = affected.following + affected.pinned
    older = f", {affected.pinned:,} of them on older terms" if affected.pinned else ""
    warnings = []
    if affected.overridden:
        own = counted(affected.overridden, "organization has", "organizations have")
        warnings.append(f"{own} an override that says otherwise: nothing changes there.")
    return Preview(
        (
            f"It holds within a second for {counted(everybody, 'live subscription')} of {plan.name}{older}.",
            sentence,
        ),
        ((f"Limit {values.limit} of {_amount(affected.limit)}", _word(shadow=not shadow), _word(shadow=shadow)),),
        tuple(warnings),
    )


async def _shadow(visit: Visit, values: PlanLimit, reason: str) -> Outcome:
    return await _done(visit, values, reason, shadow=True)


async def _enforce(visit: Visit, values: PlanLimit, reason: str) -> Outcome:
    return await _done(visit, values, reason, shadow=False)


async def _done(visit: Visit, values: PlanLimit, reason: str, *, shadow: bool) -> Outcome:
    plan = await fetch_plan(visit.connection, values.plan)
    await shadow_limit(visit.connection, visit.actor, plan, values.limit, shadow=shadow, reason=reason)
    return Outcome(f"The limit {values.limit} of {plan.name} is {_word(shadow=shadow)}.", to_plan(plan))


def to_plan(plan: PlanRecord) -> Links:
    """The link that leads on to a plan."""
    return ((f"To {plan.name}", f"/plans/{plan.slug}"),)


def _amount(limit: LimitSnapshot) -> str:
    return limit_says(replace(limit, shadow=False))


def _word(*, shadow: bool) -> str:
    return "only counted" if shadow else "enforced"


_FIELDS = (
    Field("plan", "Plan", "choice", options=every_plan),
    Field("limit", "Limit", maxlength=40, hint="Its name in the plan: hour, day, minute-key."),
)

ACTIONS = (
    Action(
        slug="shadow-limit",
        title="Put a limit in shadow",
        group="Subscriptions and limits",
        right=Right.CATALOG,
        summary="A plan's limit counts and marks, and refuses nobody, until it is enforced again.",
        model=PlanLimit,
        fields=_FIELDS,
        preview=_preview_shadowing,
        carry_out=_shadow,
        button="Put it in shadow",
    ),
    Action(
        slug="enforce-limit",
        title="Enforce a limit again",
        group="Subscriptions and limits",
        right=Right.CATALOG,
        summary="A plan's limit that was only counted refuses what is beyond it.",
        model=PlanLimit,
        fields=_FIELDS,
        preview=_preview_enforcing,
        carry_out=_enforce,
        button="Enforce it",
        danger=True,
    ),
)

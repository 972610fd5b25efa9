"""Actions that undo: earlier terms of a plan put back, an applied configuration gone back to."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Options, Outcome, Preview, Values
from admin.actions.founding import every_plan
from admin.actions.shadowing import to_plan
from admin.actions.subscription_changes import terms_rows
from admin.actions.wording import counted, credits_, utc
from admin.web.visit import Visit
from domain.as_code import history
from domain.as_code.applying import foresee_roll_back, roll_back
from domain.as_code.appointing import Appointing
from domain.as_code.documents import described
from domain.faults import Conflict, Forbidden
from domain.operating.catalog import put_terms_back
from domain.operators import Right
from domain.plan_restoring import KeptTerms, count_following, find_kept
from domain.plan_terms import PlanTerms
from domain.plan_versions import read_terms
from domain.plans import fetch_plan

SHOWN = 200
"""Differences that a preview lists one by one."""
MOST_CONFIGS = 50


class PlanEdit(Values):
    """Which plan, which of its versions, and for whom it holds at once."""

    plan: Annotated[str, Constraint(min_length=1, max_length=63)]
    version: Annotated[int, Constraint(ge=1)] | None = None
    begins: Literal["now", "period-end"] = "now"


class AppliedFile(Values):
    """Which applied file is gone back to, and how. `operators`: with the roles that it says."""

    config: UUID
    at_once: bool = False
    prune: bool = False
    operators: bool = False


async def _preview_plan(visit: Visit, values: PlanEdit) -> Preview:
    plan = await fetch_plan(visit.connection, values.plan)
    kept = await find_kept(visit.connection, plan.id, values.version)
    now = await read_terms(visit.connection, plan.id)
    changes = [row for row in terms_rows(now, kept.terms) if row[1] != row[2]]
    changes += await _price_rows(visit, now, kept.terms)
    if not changes:
        raise Conflict(f"The plan {plan.slug} says already what it said in version {kept.number}.")
    following = await count_following(visit.connection, plan.id)
    theirs = counted(following, "live subscription that follows", "live subscriptions that follow")
    when = "within a second" if values.begins == "now" else "from their next period on"
    more = (f"and {len(changes) - SHOWN:,} more differences",) if len(changes) > SHOWN else ()
    return Preview(
        (
            f"The plan {plan.name} says again what it said until {utc(kept.kept_at)} (version {kept.number}).",
            f"It holds for new subscriptions, and {when} for {theirs} the plan as it is now.",
            (
                f"{counted(kept.subscriptions, 'subscription keeps', 'subscriptions keep')} these terms anyway;"
                " who has other earlier terms keeps those until the period ends."
            ),
            *more,
        ),
        tuple(changes[:SHOWN]),
    )


async def _undo_plan(visit: Visit, values: PlanEdit, reason: str) -> Outcome:
    plan = await fetch_plan(visit.connection, values.plan)
    kept: KeptTerms = await find_kept(visit.connection, plan.id, values.version)
    at_once = values.begins == "now"
    await put_terms_back(visit.connection, visit.actor, plan, kept, at_once=at_once, reason=reason)
    return Outcome(f"The plan {plan.name} says again what version {kept.number} says.", to_plan(plan))


async def _price_rows(visit: Visit, now: PlanTerms, then: PlanTerms) -> list[tuple[str, str, str]]:
    rows = await visit.connection.fetch(
        "select o.id, s.slug || ' ' || o.method || ' ' || o.path_pattern as name from operation o"
        " join service s on s.id = o.service_id order by s.slug, o.path_pattern, o.method"
    )
    found = []
    for operation_id, name in rows:
        if operation_id not in then.prices:  # declared later: it costs what it says itself
            continue
        before, after = now.prices.get(operation_id), then.prices[operation_id]
        if before != after:
            found.append((f"Price of {name}", credits_(before), credits_(after)))
        was, becomes = now.quota_costs.get(operation_id), then.quota_costs[operation_id]
        if was != becomes:
            found.append((f"Quota units of {name}", str(was), str(becomes)))
    return found


async def _preview_config(visit: Visit, values: AppliedFile) -> Preview:
    differences = await foresee_roll_back(
        visit.connection, values.config, prune=values.prune, operators=_with_operators(visit, values)
    )
    # Who may do what comes first: it is not to hide behind what is not shown.
    rows = [
        (f"{described(change.id)}: {each.field}", each.before or "\u2013", each.after or "\u2013")
        for change in sorted(differences.changes, key=lambda each: each.id[0] != "operator")
        for each in change.fields
    ]
    if not rows:
        raise Conflict("Everything is as that file says. Nothing is to be undone.")
    left = len(differences.left_alone)
    more = (f"and {len(rows) - SHOWN:,} more differences",) if len(rows) > SHOWN else ()
    who = "for everybody at once" if values.at_once else "for those who have subscribed from their next period on"
    return Preview(
        (
            f"{counted(len(differences.changes), 'thing changes', 'things change')}.",
            f"Terms of plans hold {who}; everything else within a second.",
            f"{counted(left, 'thing')} that the file does not name {'stays' if left == 1 else 'stay'} as it is.",
            *more,
        ),
        tuple(rows[:SHOWN]),
    )


def _with_operators(visit: Visit, values: AppliedFile) -> bool:
    """Whether roles are gone back to: only if that is wanted, as who left since would be an operator again.

    Raises Forbidden for who may not say who is one.
    """
    if values.operators and not visit.may(Right.OPERATORS):
        raise Forbidden("Your role does not say who is an operator: go back without the roles of operators.")
    return values.operators


async def _undo_config(visit: Visit, values: AppliedFile, reason: str) -> Outcome:
    done = await roll_back(
        visit.connection,
        values.config,
        visit.actor,
        prune=values.prune,
        at_once=values.at_once,
        reason=reason,
        appointing=Appointing(visit.settings) if _with_operators(visit, values) else None,
    )
    if done.applied_id is None:
        raise Conflict("Everything is as that file says. Nothing is to be undone.")
    return Outcome(f"{counted(len(done.differences.changes), 'thing')} changed.", (("To the plans", "/plans"),))


async def _configs(visit: Visit) -> Options:
    applied = await history.list_applied(visit.connection, limit=MOST_CONFIGS)
    return tuple((str(each.id), _label(each)) for each in applied)


def _label(config: history.AppliedConfig) -> str:
    kind = config.summary.get("kind")
    if kind == "found":
        return f"{utc(config.created_at)}: as it was before the next one"
    changes = counted(int(config.summary.get("changes", 0)), "change")
    return f"{utc(config.created_at)}: {kind} by {config.actor_name or 'nobody'}, {changes}"


ACTIONS = (
    Action(
        slug="undo-plan-edit",
        title="Undo a plan edit",
        group="Services and plans",
        right=Right.CATALOG,
        summary="A plan says again what it said before: limits, price, trial, prices of operations.",
        model=PlanEdit,
        fields=(
            Field("plan", "Plan", "choice", options=every_plan),
            Field(
                "version",
                "Version",
                "number",
                required=False,
                hint="Empty: the last that differs from now and that somebody still has.",
            ),
            Field(
                "begins",
                "For those who have subscribed since",
                "choice",
                options=(("now", "At once"), ("period-end", "From their next period on")),
            ),
        ),
        preview=_preview_plan,
        carry_out=_undo_plan,
        button="Put it back",
        danger=True,
    ),
    Action(
        slug="undo-configuration",
        title="Go back to an applied configuration",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Plans, services and operations are again as a file of the history says.",
        model=AppliedFile,
        fields=(
            Field(
                "config", "As it was after", "choice", options=_configs, hint="Files that were applied, newest first."
            ),
            Field("at_once", "Terms of plans hold for everybody at once", "check", required=False),
            Field("prune", "Switch off what that file does not name", "check", required=False),
            Field(
                "operators",
                "Operators too",
                "check",
                required=False,
                hint="Who was dismissed since has their role again. Only for who may say who is an operator.",
            ),
        ),
        preview=_preview_config,
        carry_out=_undo_config,
        button="Go back",
        danger=True,
    ),
)

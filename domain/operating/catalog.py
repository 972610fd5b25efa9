"""What operators do to what is sold: services, operations and plans switched off and on, an edit undone; with its trace.

All of it belongs into the caller's transaction: the change and its trace happen together or not at all.
"""

from typing import Any
from uuid import UUID

from domain import audit
from domain.audit import Thing, Verb
from domain.faults import Conflict
from domain.lifecycle import LIVE
from domain.operations import OperationRecord
from domain.plan_restoring import KeptTerms, restore_terms
from domain.plan_terms import PlanTerms
from domain.plan_versions import read_terms
from domain.plans import PlanRecord
from domain.services import ServiceRecord

_HOLDERS = f"""
    select count(*) filter (where plan_id = $1) as present, count(*) filter (where next_plan_id = $1) as coming
    from subscription where state in {LIVE} and $1 in (plan_id, next_plan_id)
"""


async def switch_service(connection: Any, actor: audit.Actor, service: ServiceRecord, *, on: bool, reason: str) -> None:
    """Switch a service on or off. Raises Conflict if it is so already."""
    statement = "update service set enabled = $2 where id = $1 and enabled <> $2 returning id"
    await _switch(connection, statement, service.id, f"The service {service.slug}", on=on)
    verb = Verb.SERVICE_ENABLE if on else Verb.SERVICE_DISABLE
    await _trace(connection, actor, verb, Thing("service", service.slug, service.slug), "enabled", reason, on=on)


async def switch_operation(
    connection: Any, actor: audit.Actor, operation: OperationRecord, *, on: bool, reason: str
) -> None:
    """Switch an operation on or off. Raises Conflict if it is so already."""
    statement = "update operation set enabled = $2 where id = $1 and enabled <> $2 returning id"
    name = f"{operation.service_slug} {operation.method} {operation.path_pattern}"
    await _switch(connection, statement, operation.id, f"The operation {name}", on=on)
    verb = Verb.OPERATION_ENABLE if on else Verb.OPERATION_DISABLE
    await _trace(connection, actor, verb, Thing("operation", str(operation.id), name), "enabled", reason, on=on)


async def archive_plan(connection: Any, actor: audit.Actor, plan: PlanRecord, *, on: bool, reason: str) -> None:
    """Let a plan take no new subscriptions, or (`on`) take them again. Raises Conflict if it is so already."""
    statement = "update plan set active = $2 where id = $1 and active <> $2 returning id"
    await _switch(connection, statement, plan.id, f"The plan {plan.slug}", on=on)
    verb = Verb.PLAN_REOPEN if on else Verb.PLAN_ARCHIVE
    await _trace(connection, actor, verb, Thing("plan", plan.slug, plan.slug), "active", reason, on=on)


async def holders(connection: Any, plan_id: UUID) -> tuple[int, int]:
    """How many live subscriptions are on a plan, and how many come to it with their next period."""
    row = await connection.fetchrow(_HOLDERS, plan_id)
    return row["present"], row["coming"]


async def put_terms_back(
    connection: Any, actor: audit.Actor, plan: PlanRecord, kept: KeptTerms, *, at_once: bool, reason: str
) -> None:
    """Make a plan say what it said in an earlier version. Raises Conflict where that is no change, or cannot be."""
    before = await read_terms(connection, plan.id)
    await restore_terms(connection, plan.id, kept.terms, at_once=at_once)
    after = await read_terms(connection, plan.id)
    if after == before:
        raise Conflict(f"The plan {plan.slug} says that already.")
    await audit.record(
        connection,
        actor,
        Verb.PLAN_RESTORE,
        Thing("plan", plan.slug, plan.slug),
        before=_facts(before),
        after={**_facts(after), "version": kept.number, "at_once": at_once},
        reason=reason,
    )


async def _switch(connection: Any, statement: str, row_id: UUID, what: str, *, on: bool) -> None:
    if await connection.fetchval(statement, row_id, on) is None:
        raise Conflict(f"{what} is switched {'on' if on else 'off'} already.")


async def _trace(
    connection: Any, actor: audit.Actor, verb: Verb, thing: Thing, column: str, reason: str, *, on: bool
) -> None:
    await audit.record(connection, actor, verb, thing, before={column: not on}, after={column: on}, reason=reason)


def _facts(terms: PlanTerms) -> dict[str, Any]:
    return {
        "price_cents": terms.price_cents,
        "currency": terms.currency,
        "overage": terms.overage,
        "trial_days": terms.trial_days,
        "trial_calls": terms.trial_calls,
        "grace_days": terms.grace_days,
        "limits": {limit.name: f"{limit.amount}/{limit.period}" for limit in terms.limits},
        "prices_micro": {str(operation_id): price for operation_id, price in terms.prices.items() if price},
    }

"""Actions that switch services, operations and plans off, and on again."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Options, Outcome, Preview, Values
from admin.actions.founding import every_plan
from admin.actions.shadowing import to_plan
from admin.actions.wording import counted
from admin.web.visit import Visit
from domain.faults import Conflict, NotFound
from domain.ingesting.grains import EVERY
from domain.operating import catalog
from domain.operations import OperationRecord, list_operations
from domain.operators import Right
from domain.plans import fetch_plan
from domain.services import fetch_service, list_services

MOST_SUGGESTED = 500
COUNTING_MS = 100
"""After this long nobody counts any further who called: there may be a hundred thousand."""

# Of services EVERY stands in the place of the operation; of everybody's requests it stands in that of the organization.
_REQUESTS = """
select coalesce(sum(requests), 0)::bigint from usage_summary
 where grain = 'hour' and bucket > now() - interval '24 hours' and organization_id = $1 and key_id = $1
   and service_id = $2 and operation_id = $3
"""
_CALLERS = """
select count(distinct organization_id) from usage_summary
 where grain = 'hour' and bucket > now() - interval '24 hours' and organization_id <> $1 and key_id = $1
   and service_id = $2 and operation_id = $3
"""


class OneService(Values):
    """Which service."""

    service: Annotated[str, Constraint(min_length=1, max_length=63)]


class OneOperation(Values):
    """Which operation: `weather GET /forecast/{city}`."""

    operation: Annotated[str, Constraint(min_length=3, max_length=400)]


class OnePlan(Values):
    """Which plan."""

    plan: Annotated[str, Constraint(min_length=1, max_length=63)]


async def _preview_service(visit: Visit, values: OneService, *, on: bool) -> Preview:
    service = await fetch_service(visit.connection, values.service)
    if service.enabled is on:
        raise Conflict(f"The service {service.slug} is switched {_word(on=on)} already.")
    operations = len(await list_operations(visit.connection, service_slug=service.slug))
    what = "served as before" if on else "refused with 404 within a second; what is under way ends as it began"
    return Preview(
        (f"Requests to {service.route_prefix} ({counted(operations, 'operation')}) are {what}.",),
        ((f"Service {service.slug}", _word(on=not on), _word(on=on)),),
        notes=await _called(visit, service.id, EVERY),
    )


async def _preview_operation(visit: Visit, values: OneOperation, *, on: bool) -> Preview:
    operation = await find_operation(visit, values)
    if operation.enabled is on:
        raise Conflict(f"The operation {_named(operation)} is switched {_word(on=on)} already.")
    what = "served as before" if on else "refused with 404 within a second; what is under way ends as it began"
    service = await fetch_service(visit.connection, operation.service_slug)
    return Preview(
        (f"Requests to {operation.method} {service.route_prefix}{operation.path_pattern} are {what}.",),
        ((f"Operation {operation.name}", _word(on=not on), _word(on=on)),),
        notes=await _called(visit, service.id, operation.id),
    )


async def _preview_plan(visit: Visit, values: OnePlan, *, on: bool) -> Preview:
    plan = await fetch_plan(visit.connection, values.plan)
    if plan.active is on:
        raise Conflict(f"The plan {plan.slug} is {'open' if on else 'archived'} already.")
    if not on and plan.slug == visit.settings.portal.sign_up_plan:
        raise Conflict(f"New organizations begin on {plan.slug} (PORTAL_SIGN_UP_PLAN): nobody could sign up any more.")
    live, coming = await catalog.holders(visit.connection, plan.id)
    kept = f"{counted(live, 'live subscription')} and {coming:,} that come to it with their next period"
    what = "can be chosen again" if on else f"takes no new subscriptions; {kept} stay and renew as before"
    return Preview(
        (f"The plan {plan.name} {what}.",),
        ((f"Plan {plan.slug}", "archived" if on else "open", "open" if on else "archived"),),
    )


async def _switch_service(visit: Visit, values: OneService, reason: str, *, on: bool) -> Outcome:
    service = await fetch_service(visit.connection, values.service)
    await catalog.switch_service(visit.connection, visit.actor, service, on=on, reason=reason)
    back = "disable" if on else "enable"
    link = (f"{back.capitalize()} it again", f"/actions/{back}-service?service={service.slug}")
    return Outcome(f"The service {service.name} is switched {_word(on=on)}.", (link,))


async def _switch_operation(visit: Visit, values: OneOperation, reason: str, *, on: bool) -> Outcome:
    operation = await find_operation(visit, values)
    await catalog.switch_operation(visit.connection, visit.actor, operation, on=on, reason=reason)
    back = "disable" if on else "enable"
    link = (f"{back.capitalize()} it again", f"/actions/{back}-operation?operation={operation.id}")
    return Outcome(f"The operation {_named(operation)} is switched {_word(on=on)}.", (link,))


async def _switch_plan(visit: Visit, values: OnePlan, reason: str, *, on: bool) -> Outcome:
    plan = await fetch_plan(visit.connection, values.plan)
    await catalog.archive_plan(visit.connection, visit.actor, plan, on=on, reason=reason)
    return Outcome(f"The plan {plan.name} is {'open' if on else 'archived'}.", to_plan(plan))


async def find_operation(visit: Visit, values: OneOperation) -> OperationRecord:
    """The operation, by its id or as it is suggested. Raises NotFound."""
    for each in await list_operations(visit.connection):
        if values.operation in (str(each.id), _named(each)):
            return each
    raise NotFound(f"There is no operation {values.operation[:80]}. Write: SERVICE METHOD /path, as in the list.")


async def _called(visit: Visit, service_id: UUID, operation_id: UUID) -> tuple[str, ...]:
    which = EVERY, service_id, operation_id
    requests = counted(await visit.connection.fetchval(_REQUESTS, *which), "time")
    callers = await _callers(visit.connection, *which)
    if callers is None:
        return (f"In the last 24 hours it was called {requests}, by more organizations than are counted here.",)
    return (f"In the last 24 hours {counted(callers, 'organization')} called it {requests}.",)


async def _callers(connection: Any, *which: UUID | str) -> int | None:
    """How many organizations called it; None where counting them takes longer than COUNTING_MS."""
    allowed = await connection.fetchval("show statement_timeout")
    try:
        async with connection.transaction():
            await connection.execute(f"set local statement_timeout = {COUNTING_MS}")
            callers: int = await connection.fetchval(_CALLERS, *which)
            await connection.execute("select set_config('statement_timeout', $1, true)", allowed)
    except asyncpg.QueryCanceledError:
        return None
    return callers


def _named(operation: OperationRecord) -> str:
    return f"{operation.service_slug} {operation.method} {operation.path_pattern}"


def _word(*, on: bool) -> str:
    return "on" if on else "off"


async def _services(visit: Visit) -> Options:
    return tuple((each.slug, f"{each.name} ({each.slug})") for each in await list_services(visit.connection))


async def _operations(visit: Visit) -> Options:
    found = (await list_operations(visit.connection))[:MOST_SUGGESTED]
    return tuple((_named(each), each.name) for each in found)


SERVICE = Field("service", "Service", "choice", options=_services)
OPERATION = Field("operation", "Operation", options=_operations, maxlength=400, hint="SERVICE METHOD /path, or its id.")
_PLAN = Field("plan", "Plan", "choice", options=every_plan)

ACTIONS = (
    Action(
        slug="disable-service",
        title="Disable a service",
        group="Services and plans",
        right=Right.CATALOG,
        summary="All requests to one service are refused until it is enabled.",
        model=OneService,
        fields=(SERVICE,),
        preview=partial(_preview_service, on=False),
        carry_out=partial(_switch_service, on=False),
        button="Disable",
        danger=True,
    ),
    Action(
        slug="enable-service",
        title="Enable a service",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Requests to a service that was disabled are served again.",
        model=OneService,
        fields=(SERVICE,),
        preview=partial(_preview_service, on=True),
        carry_out=partial(_switch_service, on=True),
        button="Enable",
    ),
    Action(
        slug="disable-operation",
        title="Disable an operation",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Requests to one operation of a service are refused until it is enabled.",
        model=OneOperation,
        fields=(OPERATION,),
        preview=partial(_preview_operation, on=False),
        carry_out=partial(_switch_operation, on=False),
        button="Disable",
        danger=True,
    ),
    Action(
        slug="enable-operation",
        title="Enable an operation",
        group="Services and plans",
        right=Right.CATALOG,
        summary="Requests to an operation that was disabled are served again.",
        model=OneOperation,
        fields=(OPERATION,),
        preview=partial(_preview_operation, on=True),
        carry_out=partial(_switch_operation, on=True),
        button="Enable",
    ),
    Action(
        slug="archive-plan",
        title="Archive a plan",
        group="Services and plans",
        right=Right.CATALOG,
        summary="A plan takes no new subscriptions; who has it keeps it.",
        model=OnePlan,
        fields=(_PLAN,),
        preview=partial(_preview_plan, on=False),
        carry_out=partial(_switch_plan, on=False),
        button="Archive",
        danger=True,
    ),
    Action(
        slug="reopen-plan",
        title="Reopen a plan",
        group="Services and plans",
        right=Right.CATALOG,
        summary="A plan that was archived can be chosen again.",
        model=OnePlan,
        fields=(_PLAN,),
        preview=partial(_preview_plan, on=True),
        carry_out=partial(_switch_plan, on=True),
        button="Reopen",
    ),
)

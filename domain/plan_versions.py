"""Copy on write: an edit of a plan leaves what was sold in the current period as it was.

The terms before the edit are written as a `plan_version`, and the live subscriptions that follow the plan's own rows are
pinned to it, in the edit's transaction. A subscription's next period follows the plan's rows again (`lifecycle`).
Plain SQL on these rows pins nobody: it holds at once for everybody who is not pinned.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from domain.lifecycle import LIVE
from domain.plan_terms import PlanTerms, terms_from_json, terms_to_json
from domain.snapshots import LimitSnapshot

T = TypeVar("T")

_PLAN = "select overage, price_cents, currency::text, trial_days, trial_calls, grace_days from plan where id = $1"
_LIMITS = """
    select id, name, amount, period, scope, shadow, service_id, operation_id, unit from plan_limit where plan_id = $1
    order by array_position(array['second', 'minute', 'hour', 'day', 'month', 'concurrent'], period::text), name
"""
_PRICES = """
    select o.id, coalesce(p.price_micro, o.price_micro), coalesce(p.quota_cost, o.quota_cost)
    from operation o left join plan_price p on p.operation_id = o.id and p.plan_id = $1 order by o.id
"""
_FOLLOWED = f"select distinct plan_id from subscription where plan_version_id is null and state in {LIVE}"
# An edit that is taken back and made again is sold under one number.
_VERSION = """
    with known as (select id from plan_version where plan_id = $1 and terms = $2::jsonb order by number desc limit 1),
    made as (
        insert into plan_version (plan_id, number, terms)
        select $1, 1 + coalesce((select max(number) from plan_version where plan_id = $1), 0), $2::jsonb
        where not exists (select from known) returning id)
    select id from known union all select id from made
"""
_PIN = f"""
    update subscription set plan_version_id = $2
    where plan_id = $1 and plan_version_id is null and state in {LIVE}
"""
_UNPIN = f"""
    update subscription set plan_version_id = null
    where plan_id = any($1) and plan_version_id is not null and state in {LIVE}
"""


async def read_terms(connection: Any, plan_id: UUID) -> PlanTerms:
    """What the plan's own rows sell at this moment. The plan is there."""
    plan = await connection.fetchrow(_PLAN, plan_id)
    prices = await connection.fetch(_PRICES, plan_id)
    return PlanTerms(
        limits=tuple(LimitSnapshot(**dict(row)) for row in await connection.fetch(_LIMITS, plan_id)),
        prices={operation_id: price for operation_id, price, _ in prices},
        quota_costs={operation_id: cost for operation_id, _, cost in prices},
        **dict(plan),
    )


async def terms_of(connection: Any, plan_id: UUID, plan_version_id: UUID | None) -> PlanTerms:
    """The terms of a subscription: its version's, or the plan's own."""
    if plan_version_id is None:
        return await read_terms(connection, plan_id)
    return terms_from_json(await connection.fetchval("select terms from plan_version where id = $1", plan_version_id))


async def followed_plans(connection: Any) -> list[UUID]:
    """The plans whose own rows are the terms of some live subscription."""
    return [row["plan_id"] for row in await connection.fetch(_FOLLOWED)]


async def keep_version(connection: Any, plan_id: UUID, terms: str) -> UUID:
    """The version of a plan with these terms, made if there is none; the caller holds the plan's row."""
    version_id: UUID = await connection.fetchval(_VERSION, plan_id, terms)
    return version_id


async def pin_from(connection: Any, old_id: UUID, new_id: UUID) -> None:
    """Pin the live subscriptions that have one version to another one of the same plan."""
    await connection.execute(
        f"update subscription set plan_version_id = $2 where plan_version_id = $1 and state in {LIVE}", old_id, new_id
    )


async def edit_plans(
    connection: Any, plan_ids: Sequence[UUID], edit: Callable[[], Awaitable[T]], *, at_once: bool = False
) -> T:
    """The result of `edit`, in one transaction that keeps what these plans' live subscriptions have.

    `edit` changes rows and nothing else: it may be run twice. `at_once` pins nobody: the edit holds for everybody, also for
    those pinned to terms of these plans before; what was sold is kept all the same, so that a
    mistake can be undone (`plan_restoring`).
    """
    async with connection.transaction():
        # The row locks order two edits of one plan; subscriptions that are made meanwhile do not wait for them.
        await connection.fetch("select from plan where id = any($1) order by id for no key update", list(plan_ids))
        if at_once:
            return await _edit_at_once(connection, plan_ids, edit)
        sold = await _sold(connection, plan_ids)
        attempt = connection.transaction()
        await attempt.start()
        try:
            result = await edit()
            changed = [plan_id for plan_id, terms in sold.items() if await read_terms(connection, plan_id) != terms]
        except BaseException:
            await attempt.rollback()
            raise
        if not changed:
            await attempt.commit()
            return result
        # Pinned before the edit: gateways hear of it in this order, and no customer meets the new terms in between.
        await attempt.rollback()
        for plan_id in changed:
            version_id = await keep_version(connection, plan_id, terms_to_json(sold[plan_id]))
            await connection.execute(_PIN, plan_id, version_id)
        return await edit()


async def _edit_at_once(connection: Any, plan_ids: Sequence[UUID], edit: Callable[[], Awaitable[T]]) -> T:
    sold = await _sold(connection, plan_ids)
    await connection.execute(_UNPIN, list(plan_ids))
    result = await edit()
    for plan_id, terms in sold.items():
        if await read_terms(connection, plan_id) != terms:
            await keep_version(connection, plan_id, terms_to_json(terms))
    return result


async def _sold(connection: Any, plan_ids: Sequence[UUID]) -> dict[UUID, PlanTerms]:
    """The terms of those of the plans whose own rows some live subscription has."""
    followed = set(await followed_plans(connection)).intersection(plan_ids)
    return {plan_id: await read_terms(connection, plan_id) for plan_id in sorted(followed)}

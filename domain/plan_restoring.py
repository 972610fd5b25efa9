"""Earlier terms of a plan put back: an edit that was a mistake is undone in one change.

What was sold before an edit is kept as `plan_version` if anybody had it. Putting it back makes the plan's rows say the same
again, limits under their old ids, so that what they have counted is found.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.faults import Conflict, NotFound
from domain.lifecycle import LIVE
from domain.plan_terms import PlanTerms, terms_from_json
from domain.plan_versions import edit_plans, read_terms

_VERSIONS = f"""
    select v.id, v.number, v.created_at, v.terms,
           (select count(*) from subscription s where s.plan_version_id = v.id and s.state in {LIVE}) as subscriptions
    from plan_version v where v.plan_id = $1 order by v.number desc limit $2
"""
_FOLLOWING = f"select count(*) from subscription where plan_id = $1 and plan_version_id is null and state in {LIVE}"
_PLAN = """
    update plan set overage = $2, price_cents = $3, currency = $4, trial_days = $5, trial_calls = $6, grace_days = $7
    where id = $1
"""
_DROP_LIMITS = "delete from plan_limit where plan_id = $1 and id <> all($2::uuid[])"
_PUT_LIMIT = """
    insert into plan_limit as l (id, plan_id, name, amount, period, scope, shadow, service_id, operation_id, unit)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (id) do update set name = excluded.name, amount = excluded.amount, period = excluded.period,
        scope = excluded.scope, shadow = excluded.shadow, service_id = excluded.service_id,
        operation_id = excluded.operation_id, unit = excluded.unit
"""
# What is as for everybody has no row of its own; an operation that was deleted has no price any more.
_DROP_PRICES = """
    delete from plan_price p using operation o, unnest($2::uuid[], $3::bigint[], $4::bigint[]) as w (id, price, units)
    where p.plan_id = $1 and o.id = p.operation_id and w.id = o.id and w.price = o.price_micro and w.units = o.quota_cost
"""
_PUT_PRICES = """
    insert into plan_price as p (plan_id, operation_id, price_micro, quota_cost)
    select $1, o.id, nullif(w.price, o.price_micro), nullif(w.units, o.quota_cost)
    from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as w (id, price, units) join operation o on o.id = w.id
    where w.price <> o.price_micro or w.units <> o.quota_cost
    on conflict on constraint uq_plan_price_plan_id_operation_id do update
    set price_micro = excluded.price_micro, quota_cost = excluded.quota_cost
"""


@dataclass(frozen=True, slots=True)
class KeptTerms:
    """Terms of a plan as they were sold until `kept_at`, and how many live subscriptions still have them."""

    id: UUID
    number: int
    kept_at: datetime
    terms: PlanTerms
    subscriptions: int


async def kept_terms(connection: Any, plan_id: UUID, *, most: int = 50) -> list[KeptTerms]:
    """The newest `most` versions of a plan, newest first."""
    rows = await connection.fetch(_VERSIONS, plan_id, most)
    return [
        KeptTerms(row["id"], row["number"], row["created_at"], terms_from_json(row["terms"]), row["subscriptions"])
        for row in rows
    ]


async def find_kept(connection: Any, plan_id: UUID, number: int | None) -> KeptTerms:
    """One of them by its number; None: the newest that differs from what the plan says now, and that somebody has.

    Raises NotFound, Conflict.
    """
    kept = await kept_terms(connection, plan_id, most=10_000)
    if not kept:
        raise NotFound("No earlier terms of this plan are kept: nobody had it when it was edited.")
    if number is not None:
        found = next((each for each in kept if each.number == number), None)
        if found is None:
            raise NotFound(f"This plan has no version {number}; it has 1 to {kept[0].number}.")
        return found
    now = await read_terms(connection, plan_id)
    differing = [each for each in kept if each.terms != now]
    if not differing:
        raise Conflict("The plan says what it said before. Nothing is to be undone.")
    # A limit that was in shadow for a time leaves a version that nobody has any more.
    return next((each for each in differing if each.subscriptions), differing[0])


async def count_following(connection: Any, plan_id: UUID) -> int:
    """Live subscriptions whose terms are the plan's own rows."""
    return int(await connection.fetchval(_FOLLOWING, plan_id))


async def restore_terms(connection: Any, plan_id: UUID, terms: PlanTerms, *, at_once: bool) -> None:
    """Make the plan's rows say these terms. Inside a transaction. Raises Conflict, where a limit's target is gone.

    `at_once`: for all who follow the plan's rows; otherwise these keep what they have until their period ends. Who has
    other terms of the plan keeps them in both cases.
    """

    async def edit() -> None:
        await _write(connection, plan_id, terms)

    if not at_once:
        await edit_plans(connection, [plan_id], edit)
        return
    await connection.fetchval("select id from plan where id = $1 for no key update", plan_id)
    await edit()


async def _write(connection: Any, plan_id: UUID, terms: PlanTerms) -> None:
    await connection.execute(
        _PLAN,
        plan_id,
        terms.overage,
        terms.price_cents,
        terms.currency,
        terms.trial_days,
        terms.trial_calls,
        terms.grace_days,
    )
    await connection.execute(_DROP_LIMITS, plan_id, [limit.id for limit in terms.limits])
    try:
        for limit in terms.limits:
            await connection.execute(
                _PUT_LIMIT,
                limit.id,
                plan_id,
                limit.name,
                limit.amount,
                limit.period,
                limit.scope,
                limit.shadow,
                limit.service_id,
                limit.operation_id,
                limit.unit,
            )
    except asyncpg.ForeignKeyViolationError:
        raise Conflict("A limit of these terms is on a service or operation that is not there any more.") from None
    operations = list(terms.prices)
    prices = list(terms.prices.values())
    units = [terms.quota_costs[operation_id] for operation_id in operations]
    await connection.execute(_DROP_PRICES, plan_id, operations, prices, units)
    await connection.execute(_PUT_PRICES, plan_id, operations, prices, units)

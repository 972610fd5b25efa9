"""A draft is an existing plan with changes, from options or from a file; what is wrong with it is named."""

import pytest

from domain.as_code.applying import export
from domain.as_code.mistakes import Mistaken
from domain.faults import InvalidValue, NotFound
from domain.limit_texts import parse_limits
from domain.plan_prices import parse_price, parse_quota_cost
from domain.plan_versions import read_terms
from domain.what_if.drafts import Changes, read_draft
from tests.histories import plan_of


def written(draft):
    return [(li.name, li.amount, li.period, li.scope, li.shadow, li.unit) for li in draft.terms.limits]


async def test_without_changes_it_is_the_plan(connection, history):
    prices = [parse_price("weather:forecast=0.05"), parse_quota_cost("weather:forecast=3")]
    limits = ("10/hour per key on weather:forecast", "5/minute on weather")
    await plan_of(connection, "starter", *limits, shadow=["2/second"], quota=["9/day"], prices=prices, price_cents=900)
    plan_id = await connection.fetchval("select id from plan where slug = 'starter'")
    terms, draft = await read_terms(connection, plan_id), await read_draft(connection, "starter")
    values = ("name", "amount", "period", "scope", "shadow", "service_id", "operation_id", "unit")
    assert {tuple(getattr(li, name) for name in values) for li in draft.terms.limits} == {
        tuple(getattr(li, name) for name in values) for li in terms.limits
    }
    assert draft.terms.prices == {history.operations["forecast"]: 50_000}
    assert draft.terms.quota_costs == {history.operations["forecast"]: 3}
    assert (draft.terms.price_cents, draft.terms.overage, draft.services) == (900, "block", draft.present)


async def test_options_replace_limits_and_change_single_prices(connection, history):
    await plan_of(connection, "starter", "10/hour", prices=[parse_price("weather:forecast=0.05")])
    changes = Changes(
        limits=parse_limits(["5/day"], ["3/hour"]),
        prices=[parse_price("weather:history=2")],
        price_cents=1,
        overage="credits",
    )
    draft = await read_draft(connection, "starter", changes)
    assert written(draft) == [
        ("hour", 3, "hour", "organization", True, "requests"),
        ("day", 5, "day", "organization", False, "requests"),
    ]
    assert draft.terms.prices == {history.operations["forecast"]: 50_000, history.operations["history"]: 2_000_000}
    assert (draft.terms.price_cents, draft.terms.overage) == (1, "credits")
    dropped = await read_draft(connection, "starter", Changes(prices=[parse_price("weather:forecast=default")]))
    assert dropped.terms.prices == {}


async def test_a_file_as_exported_changes_what_it_says_also_of_operations(connection, history):
    await plan_of(connection, "starter", "10/hour", "99/day")
    text = await export(connection)
    assert await read_draft(connection, "starter", Changes(text=text)) == await read_draft(connection, "starter")
    text = """
plans:
  starter:
    limits: {hour: 7/hour}
    prices: {weather: {GET /history: {price: 0.4}}}
services:
  weather:
    charge_on: response
    operations:
      GET /forecast: {price: 0.7, cost_formula: 0.1 * query.n}
"""
    draft = await read_draft(connection, None, Changes(text=text))
    assert (draft.slug, written(draft)) == ("starter", [("hour", 7, "hour", "organization", False, "requests")])
    assert draft.terms.prices == {history.operations["history"]: 400_000}
    (service,) = draft.services.values()
    forecast = next(one for one in service.operations if one.name == "forecast")
    assert (service.charge_on, forecast.price_micro, forecast.cost_formula) == ("response", 700_000, "0.1 * query.n")


async def test_a_plan_that_is_only_in_the_file_is_a_draft_too(connection, history):
    draft = await read_draft(
        connection, None, Changes(text="plans: {premium: {limits: {hour: 7/hour}, price_cents: 100}}")
    )
    assert (draft.slug, draft.terms.price_cents, draft.terms.currency, draft.terms.grace_days) == (
        "premium",
        100,
        "USD",
        3,
    )


@pytest.mark.parametrize(
    ("slug", "changes", "kind", "sentence"),
    [
        ("startr", Changes(), NotFound, "There is no plan startr. Did you mean starter?"),
        (None, Changes(), InvalidValue, "Say which plan is meant: the file has none."),
        ("starter", Changes(prices=[parse_price("weather:forcast=1")]), NotFound, "no operation forcast"),
        ("starter", Changes(limits=parse_limits(["1/hour on wether"])), NotFound, "no service wether, which the limit"),
        ("starter", Changes(price_cents=-1), InvalidValue, "lies between 0 and"),
        ("starter", Changes(overage="free"), InvalidValue, "block or credits"),
        ("starter", Changes(included_micro=-1), InvalidValue, "included credits"),
        (
            "starter",
            Changes(text="plans: {starter: {limts: {}}}"),
            Mistaken,
            "1:19: A plan has no limts. Did you mean limits?",
        ),
        ("starter", Changes(text="plans: {starter: {limits: {hour: 1/fortnight}}}"), Mistaken, "is no limit"),
        ("starter", Changes(text="plans: ["), Mistaken, "This is no YAML"),
        (
            "starter",
            Changes(text="services: {weather: {operations: {GET /forecast: {cost_formula: 1 +}}}}"),
            Mistaken,
            "1:",
        ),
    ],
)
async def test_mistakes_are_named(connection, history, slug, changes, kind, sentence):
    await plan_of(connection, "starter", "10/hour")
    with pytest.raises(kind) as caught:
        await read_draft(connection, slug, changes)
    assert sentence in str(caught.value)

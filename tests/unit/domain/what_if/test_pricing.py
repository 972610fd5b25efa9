"""A row of the log costs what the gateway would charge for it under other terms, as far as the row says."""

from dataclasses import replace

import pytest

from domain.cost_formulas import CostFormula
from domain.what_if.pricing import Price, is_replayable
from tests.unit.domain.what_if.asking import FORECAST, SERVICE, asked, plan, services


def price(cap=500, usual=None, charge_on="success", **operation):
    service = replace(services(**operation)[SERVICE], charge_on=charge_on)
    return Price(service, service.operations[0], plan(prices={FORECAST: cap}), usual)


@pytest.mark.parametrize(
    ("row", "success", "response"),
    [
        ({}, 500, 500),
        ({"status": 404}, 0, 500),
        ({"status": 502, "outcome": "failed"}, 0, 0),
        ({"outcome": "cut"}, 0, 500),
        ({"outcome": "gone"}, 500, 500),
        ({"outcome": "gone", "status": 0}, 0, 0),
        ({"status": 101}, 500, 500),
        ({"outcome": "served", "sent": False}, 0, 0),
        ({"outcome": "refused", "status": 429, "refusal": "rate_limited", "sent": False}, 500, 500),
    ],
)
def test_a_fixed_price_is_charged_by_the_published_table(row, success, response):
    assert price().cost(asked(1, **row)) == success
    assert price(charge_on="response").cost(asked(1, **row)) == response


def test_a_formula_is_worked_out_again_from_query_path_and_bytes():
    formula = "0.00001 * query.n + 0.000001 * bytes"
    row = asked(1, query="n=7", bytes_in=3, path="/weather/forecast")
    assert price(cost_formula=formula).cost(row) == 73
    assert price(cap=50, cost_formula=formula).cost(row) == 50
    assert price(cost_formula=formula).due(row) == 73


def test_a_formula_of_the_answers_bytes_is_worked_out_from_what_was_sent():
    late = price(cost_formula="0.000001 * answer.bytes")
    assert late.cost(asked(1, bytes_out=42)) == 42
    assert late.due(asked(1, bytes_out=42)) == 500
    assert late.cost(asked(1, bytes_out=42, outcome="cut")) == 42
    assert late.cost(asked(1, bytes_out=0, outcome="cut")) == 0


def test_what_the_log_does_not_have_costs_what_was_recorded_within_the_price():
    unknown = price(cost_formula="0.00001 * header.x-n", usual=900)
    assert unknown.cost(asked(1, cost_micro=30)) == 30
    assert unknown.cost(asked(1, cost_micro=700)) == 500
    assert price(cost_formula="0.00001 * query.n").cost(asked(1, cost_micro=30, query="n=***")) == 30


def test_what_was_recorded_at_the_usual_price_costs_the_drafts():
    assert price(usual=30, cost_formula="0.00001 * header.x-n").cost(asked(1, cost_micro=30)) == 500
    assert price(usual=30, reserved=True).cost(asked(1, cost_micro=30)) == 500
    assert price(usual=30, reserved=True).cost(asked(1, cost_micro=20)) == 20


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("0.1 * query.n", True),
        ("0.1 * bytes", True),
        ("0.1 * answer.bytes", True),
        ("0.1 * answer.events", False),
        ("0.1 * header.n", False),
        ("0.1 * query.n + 0.1 * header.n", False),
    ],
)
def test_which_formulas_a_log_can_replay(text, known):
    assert is_replayable(CostFormula(text, "/forecast")) is known

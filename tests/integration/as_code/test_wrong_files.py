"""Files that do not fit the database: every mistake is named, and nothing is changed."""

import pytest

from domain.as_code.applying import apply, export
from domain.as_code.mistakes import Mistaken

UNKNOWN = """plans:
  fre:
    limits: {hour: 5/hour on dmo, day: 5/day on demo:helo}
    prices: {demo: {GET /helo: {price: 1}}}
services:
  demo:
    minimum_plan: prp
  other: {}
"""
TWICE = """plans:
  odd: {limits: {hour: 1/hour}, currency: USD}
services:
  demo: {prefix: /odd/v1}
  a: {prefix: /a, upstreams: [http://a]}
  b: {prefix: /a, upstreams: [http://b]}
  odd: {operations: {"GET /items/{item}": {}}}
"""
REFUSED = """plans:
  odd:
    trial_days: 100
services:
  demo:
    operations:
      GET /hello:
        cost_formula: 0.01 * nothing.there
      GET /new: {cost_formula: 0.1 * query.n}
  fine: {prefix: /fine, upstreams: [http://a]}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (UNKNOWN, [
            "3:14: There is no service dmo, which the limit is on. Did you mean demo?",
            "3:35: The service demo has no operation helo, which the limit is on. Did you mean hello?",
            "4:21: There is no operation demo GET /helo. Did you mean demo GET /hello?",
            "7:19: There is no plan prp. Did you mean pro?",
            "8:3: The new service other needs prefix.",
            "8:3: The new service other needs upstreams.",
        ]),
        (TWICE, [
            "2:18: The plan has a limit hour in shadow_limits too.",
            "2:43: The currency of a plan never changes; odd is sold in EUR.",
            "4:18: The service odd has the prefix /odd/v1 too.",
            "6:15: The service a has the prefix /a too.",
            "7:22: odd has GET /items/{id} already, which matches the same requests: write it like that.",
        ]),
        (REFUSED, [
            "2:3: plan odd: A trial with a number of calls has at most 28 days.",
            "8:23: operation demo GET /hello: cost_formula, column 8",
            "9:32: operation demo GET /new: cost_formula: expected a price with it, which is the most that a request costs.",
        ]),
    ],
    ids=["unknown", "twice", "refused"],
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [True, False])
async def test_mistakes_are_named_and_nothing_is_changed(lived_in, actor, text, said, dry_run):
    before = await export(lived_in)
    with pytest.raises(Mistaken) as found:
        await apply(lived_in, text, actor, dry_run=dry_run)
    told = [str(each) for each in found.value.mistakes]
    assert len(told) == len(said)
    assert [each[: len(want)] for each, want in zip(told, said, strict=True)] == said
    assert await export(lived_in) == before

"""What one request costs: the plan's own price, or the operation's, row by row."""

from uuid import uuid4

import pytest

from domain.prices import price_micro, quota_cost
from domain.snapshots import OperationSnapshot, PlanSnapshot

DEAR = OperationSnapshot(uuid4(), "dear", "GET", "/dear", 100_000, reserved=False, enabled=True, quota_cost=5)
OTHER = uuid4()


def plan(prices=None, quota_costs=None):
    return PlanSnapshot(uuid4(), "p", "P", 1, (), "block", prices or {}, quota_costs or {})


@pytest.mark.parametrize(
    ("sold", "operation", "credits_", "units"),
    [
        (plan(), None, 0, 1),
        (plan(), DEAR, 100_000, 5),
        (plan({OTHER: 1}, {OTHER: 1}), DEAR, 100_000, 5),
        (plan({DEAR.id: 7}), DEAR, 7, 5),
        (plan({DEAR.id: 0}), DEAR, 0, 5),
        (plan({}, {DEAR.id: 0}), DEAR, 100_000, 0),
        (plan({DEAR.id: 9}, {DEAR.id: 2}), DEAR, 9, 2),
    ],
)
def test_the_plan_goes_before_the_operation(sold, operation, credits_, units):
    assert (price_micro(sold, operation), quota_cost(sold, operation)) == (credits_, units)

"""What a request takes, by table: billing mode, plan, operation, overage."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain.quotas.costs import Cost, applying, costs_of, counting
from domain.snapshots import OperationSnapshot
from domain.spend_caps import IDS, LARGEST_MICRO, cap_limits
from tests.snapshots import key, limit, plan

OPERATION = OperationSnapshot(
    id=uuid4(), name="o", method="GET", path_pattern="/o", price_micro=500, reserved=False, enabled=True, quota_cost=3
)
FREE = replace(OPERATION, id=uuid4(), price_micro=0)
QUOTA = replace(limit("month", 100), unit="quota")
CAPS = cap_limits(10, None, None, 20)


@pytest.mark.parametrize(
    ("mode", "overage", "operation", "takes"),
    [
        ("credits", "block", OPERATION, (Cost(0, 500), None)),
        ("credits", "credits", OPERATION, (Cost(0, 500), None)),
        ("credits", "block", None, (Cost(0, 0), None)),
        ("quota", "block", OPERATION, (Cost(3, 0), None)),
        ("quota", "credits", OPERATION, (Cost(3, 0), Cost(0, 500))),
        ("quota", "block", None, (Cost(1, 0), None)),
        # What has no price can't be bought.
        ("quota", "credits", None, (Cost(1, 0), None)),
        ("quota", "credits", FREE, (Cost(3, 0), None)),
    ],
)
def test_what_a_request_takes(mode, overage, operation, takes):
    caller, sold = replace(key(), billing_mode=mode), replace(plan(QUOTA), overage=overage)
    assert costs_of(caller, sold, operation) == takes


def test_the_plans_word_goes_before_the_operations_own():
    sold = replace(plan(QUOTA), overage="credits", prices={OPERATION.id: 70}, quota_costs={OPERATION.id: 9})
    assert costs_of(replace(key(), billing_mode="quota"), sold, OPERATION) == (Cost(9, 0), Cost(0, 70))
    assert costs_of(key(), sold, OPERATION) == (Cost(0, 70), None)


def test_which_limits_apply_to_whom():
    hour, narrow = limit("hour", 1), replace(limit("day", 1), service_id=uuid4())
    sold = plan(hour, narrow, QUOTA)
    prepaid, subscribed = replace(key(), spend_caps=CAPS), replace(key(), billing_mode="quota")
    assert applying(prepaid, sold) == (hour, narrow, *CAPS)
    assert applying(subscribed, sold) is sold.limits
    assert counting(prepaid, sold, uuid4(), None, Cost(0, 5)) == (hour, *CAPS)
    assert counting(prepaid, sold, uuid4(), None, Cost(0, 0)) == (hour,)
    assert counting(subscribed, sold, narrow.service_id, None, Cost(3)) is sold.limits
    # Shared by all keys of the plan.
    other = replace(key(), billing_mode="quota")
    service = uuid4()
    assert counting(subscribed, sold, service, None, Cost(3)) is counting(other, sold, service, None, Cost(1))


def test_caps_are_shared_and_keep_their_ids_when_amounts_change():
    assert cap_limits(10, None, None, 20) is CAPS
    assert [(cap.id, cap.period, cap.scope) for cap in CAPS] == [
        (IDS["organization", "day"], "day", "organization"),
        (IDS["key", "month"], "month", "key"),
    ]
    assert [cap.id for cap in cap_limits(11, None, None, 0)] == [cap.id for cap in CAPS]
    assert cap_limits(None, None, None, None) == ()
    assert cap_limits(2**62, None, None, None)[0].amount == LARGEST_MICRO

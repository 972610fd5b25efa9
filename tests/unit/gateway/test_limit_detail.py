"""What a caller is told of a limit that has a name of its own."""

from uuid import uuid4

import pytest

from domain.snapshots import LimitSnapshot
from gateway.limit_refusals import described


@pytest.mark.parametrize(
    ("name", "period", "said"),
    [("hour", "hour", "2 per hour"), ("minute-key-weather", "minute", "2 per minute (minute-key-weather)")],
)
def test_the_period_is_named_and_a_name_of_its_own_behind_it(name, period, said):
    limit = LimitSnapshot(id=uuid4(), name=name, amount=2, period=period, scope="key", shadow=False)
    assert described(limit) == said

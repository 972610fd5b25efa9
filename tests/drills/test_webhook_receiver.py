"""What a receiver that verifies with another implementation is sent when; `python -m tests.drills.webhook_receiver` prints it."""

import pytest

from tests.drills import webhook_receiver
from tests.drills.webhook_scene import attempts
from tests.webhook_tenants import OPEN


@pytest.mark.parametrize("case", webhook_receiver.CASES, ids=lambda case: case.__name__)
async def test_what_a_webhook_receiver_is_sent_when(pool, case) -> None:
    told = await case(pool)
    assert told.broken == []
    assert told.lines


async def test_a_receiver_that_was_shown_another_secret_takes_nothing(pool) -> None:
    """The verdict can be no: else all of the above would show nothing."""
    async with webhook_receiver.customer_with(pool) as (customer, _):
        other = await customer.tenant.endpoint("http://127.0.0.1:9/", event_types=["member.joined"])
        customer.secrets = {"another secret": other.secret}
        [line], broken = await attempts(customer, 1, OPEN)
    assert broken == []
    assert (line.request.verified_by, line.request.answered, line.state) == ([], "400", "waiting")

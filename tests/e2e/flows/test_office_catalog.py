"""What is sold: a wrong edit of a plan undone, a draft replayed before it is sold."""

import re
import secrets
import subprocess
import sys

import pytest

from domain.limit_texts import parse_limits
from domain.plans import create
from tests.e2e.flows.customer import operating, seconds_until
from tests.e2e.looks.site import NEEDS_CHROMIUM
from tests.integration.cli.processes import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]
ARRIVES_SECONDS = 1.0


@pytest.fixture
async def plan(up):
    """A plan that only this test sells; its short name."""
    slug = f"roomy-{secrets.token_hex(3)}"
    async with operating(up) as connection:
        await create(connection, slug=slug, name=f"Roomy {slug[-6:]}", limits=parse_limits(["5000/hour"]))
    return slug


async def test_a_wrong_edit_of_a_plan_is_undone_and_its_terms_are_as_before(operator, up, plan):
    client = await operator.client("Edited Estates", plan, bonus="1")
    assert up.call(client.key)[0] == 200
    _change_by_command(up, plan, "--limit", "1/hour", "--price-cents", "990000", "--now")
    seconds_until(lambda: up.call(client.key)[0] == 429, 5)

    await operator.go(f"/plans/{plan}")
    await operator.says("1 requests an hour")
    await operator.press("Undo an edit")
    said = await operator.preview()
    assert re.search(r"hour.*1 .*5,000 ", said, re.DOTALL)
    await operator.carry_out("a nought was missing, and the price was another plan's")
    seconds_until(lambda: up.call(client.key)[0] == 200, ARRIVES_SECONDS)
    await operator.go(f"/plans/{plan}")
    await operator.says("5,000 requests an hour")
    assert await operator.page.get_by_text("9,900").count() == 0
    await operator.go(f"/organizations/{client.slug}")
    await operator.says("5,000 requests an hour")


async def test_a_draft_is_replayed_against_what_was_asked_and_leads_to_a_request_it_would_refuse(operator, up, plan):
    client = await operator.client("Drafty Depots", plan, bonus="1")
    answers = [up.call(client.key) for _ in range(8)]
    assert {status for status, _, _ in answers} == {200}
    await operator.open_request(answers[-1][1]["x-request-id"])

    await operator.go(f"/plans/{plan}")
    await operator.press("What if")
    assert await operator.page.locator("[name=limits]").input_value() == "5000/hour"
    await operator.fill(limits="3/hour")
    await operator.page.locator("[name=days]").select_option("0")
    await operator.press("Replay")
    refused = operator.page.locator(".stat", has_text="Refused under the draft").locator(".stat-value")
    assert await refused.inner_text() == "5"
    row = operator.page.locator("tbody tr", has_text="Drafty Depots")
    await row.get_by_text("hour 5").wait_for()
    await row.locator("a[href^='/requests/']").click()
    await operator.says("GET")
    assert operator.page.url.rpartition("/")[2] in {fields["x-request-id"] for _, fields, _ in answers[3:]}
    assert up.call(client.key)[0] == 200


def _change_by_command(up, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "cli.main", "plans", "change", *arguments],
        cwd=ROOT,
        env=up.environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )

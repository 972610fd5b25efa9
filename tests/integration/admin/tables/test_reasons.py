"""Rows that are written by hand have a reason too, where the operator gave one."""

from urllib.parse import quote

import pytest

from domain import keys, plans
from domain.limit_texts import parse_limits
from tests.integration.admin.tables.asking import send
from tests.subscriptions import fresh

REASON = "Sie bat darum: €, „bald“"
_SAID = "select verb, reason from audit_entry where actor_id = $1 order by created_at, id"


@pytest.fixture
async def plan(office):
    async with office.pool.acquire() as connection:
        return await plans.create(connection, slug=fresh("why"), limits=parse_limits(["10/hour"]))


def said(text: str) -> dict[str, str]:
    """The header, as our script sends it."""
    return {"x-reason": quote(text)}


async def test_a_change_a_new_row_and_a_deletion_say_why(office, superuser, plan):
    limit = {"plan_id": str(plan.id), "name": "minute", "amount": 5, "period": "minute"}
    made = await send(superuser.browser, "POST", "plan_limit/", limit, headers=said(REASON))
    path = f"plan_limit/{made.json()['id']}/"
    await send(superuser.browser, "PATCH", path, {"amount": 6}, headers=said(f"  {REASON}\n"))
    await send(superuser.browser, "PATCH", path, {"amount": 7})
    await send(superuser.browser, "DELETE", path, headers=said(REASON))
    entries = [tuple(row) for row in await office.pool.fetch(_SAID, superuser.user_id)]
    assert entries == [
        ("table.create", REASON),
        ("table.change", REASON),
        ("table.change", ""),
        ("table.delete", REASON),
    ]


@pytest.mark.parametrize("wrong", ["a" * 501, "a\x00b", "a\x1bb", "%ff"])
async def test_a_reason_that_cannot_be_written_is_told_and_nothing_is_done(office, superuser, plan, wrong):
    headers = {"x-reason": wrong} if wrong == "%ff" else said(wrong)
    answer = await send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Other"}, headers=headers)
    assert (answer.status_code, "reason" in answer.json()) == (422, True)
    assert await office.pool.fetch(_SAID, superuser.user_id) == []
    assert await office.pool.fetchval("select name from plan where id = $1", plan.id) == plan.name


async def test_a_key_that_is_pasted_as_the_reason_does_not_stay_in_the_audit(office, superuser, plan):
    owner = (await office.organization()).id
    async with office.pool.acquire() as connection:
        made = await keys.create(connection, office.settings.keys, organization_id=owner, name="leaked")
    answer = await send(
        superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Other"}, headers=said(f"for {made.plaintext}")
    )
    assert answer.status_code == 422
    assert made.plaintext not in answer.text
    assert await office.pool.fetch(_SAID, superuser.user_id) == []

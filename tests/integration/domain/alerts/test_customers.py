"""What customers are told of their limits, spend caps and credits: once for each crossing, and to whom."""

from datetime import timedelta

import pytest

from domain.credits.granting import grant
from domain.spend_caps import set_organization_caps
from schema.credits import EntryType
from tests.integration.domain.alerts.customers import customer, now

MICRO = 1_000_000
DAY = timedelta(days=1)


async def test_each_level_is_told_once_by_event_and_by_mail(pool):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 4)
    assert (await acme.look(pool)).levels == 0
    await acme.used(pool, 1, folded=False)
    told = await acme.look(pool)
    assert (told.levels, told.mails) == (1, 5), "what is not folded yet counts, too"
    assert (await acme.look(pool)).levels == 0
    await acme.used(pool, 3)
    await acme.look(pool)
    await acme.look(pool)
    await acme.used(pool, 5)
    await acme.look(pool)
    assert await acme.told(pool) == [50, 80, 100]
    assert len(await acme.mails(pool)) == 15
    kind, data = (await acme.events(pool))[0]
    assert kind == "usage.threshold"
    resets_at = data.pop("resets_at")
    assert data == {
        "measure": "requests", "name": "month", "service": None, "operation": None, "period": "month", "percent": 50,
        "used": "5", "limit": "10",
    }  # fmt: skip
    assert resets_at > now().isoformat()


async def test_the_mail_says_what_was_used_of_what_and_what_comes(pool):
    acme = await customer(pool, "10/day")
    await acme.used(pool, 8)
    await acme.look(pool)
    mail = dict(await acme.mails(pool))["developer"]
    assert mail.subject == "Acme has reached 80 % of day"
    assert "Acme has used 8 of 10 requests of the limit day for this day at Gate. It begins anew on" in mail.text
    assert "Requests beyond it are refused." in mail.text
    assert f"https://app.example/o/{acme.slug}/subscription" in mail.text
    assert "You can switch these mails off in the settings of your account." in mail.text


async def test_quotas_count_units_and_say_when_credits_go_on(pool):
    acme = await customer(pool, quotas=["10/month"], overage="credits")
    await pool.execute("update organization set billing_mode = 'quota' where id = $1", acme.id)
    await acme.used(pool, 10)
    await acme.look(pool)
    ((_, data),) = await acme.events(pool)
    assert (data["measure"], data["percent"], data["used"]) == ("quota", 100, "10")
    assert "10 of 10 units" in (await acme.mails(pool))[0][1].text
    assert "Requests beyond it are paid for with credits." in (await acme.mails(pool))[0][1].text


async def test_who_pays_with_credits_is_told_of_no_quota_of_the_plan(pool):
    acme = await customer(pool, quotas=["10/month"], overage="credits")
    await acme.used(pool, 10)
    assert (await acme.look(pool)).levels == 0, "their gateway counts no units"


async def test_a_limit_that_is_raised_is_told_again_when_it_is_near(pool):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 8)
    await acme.look(pool)
    await pool.execute(
        "update plan_limit set amount = 11 where plan_id = (select id from plan where slug = $1)", acme.slug
    )
    assert (await acme.look(pool)).armed == 0, "72 % is no 70"
    await pool.execute(
        "update plan_limit set amount = 40 where plan_id = (select id from plan where slug = $1)", acme.slug
    )
    assert (await acme.look(pool)).armed == 1
    await acme.used(pool, 12)
    await acme.look(pool)
    assert await acme.told(pool) == [80, 50]


async def test_another_day_begins_anew(pool):
    acme = await customer(pool, "10/day")
    today = now().replace(hour=0, minute=0, second=1)
    yesterday = today - timedelta(hours=1)
    await acme.used(pool, 8, yesterday)
    await acme.look(pool, yesterday + timedelta(minutes=1))
    await acme.look(pool, today + timedelta(seconds=1))
    assert await acme.told(pool) == [80]
    await acme.used(pool, 8, today)
    await acme.look(pool, today + timedelta(seconds=1))
    assert await acme.told(pool) == [80, 80]
    assert (await acme.look(pool, yesterday + timedelta(minutes=1))).levels == 0, "a late look changes nothing"
    assert (await acme.look(pool, today + timedelta(seconds=1))).levels == 0


async def test_limits_of_an_hour_are_mailed_once_a_day_when_they_are_used_up(pool):
    acme = await customer(pool, "10/hour")
    first = now().replace(hour=0, minute=30)
    for at in (first, first + timedelta(hours=1)):
        await acme.used(pool, 8, at)
        await acme.look(pool, at)
    assert await acme.mails(pool) == []
    await acme.used(pool, 2, at)
    assert (await acme.look(pool, at)).mails == 5
    later = at + timedelta(hours=1)
    await acme.used(pool, 10, later)
    await acme.look(pool, later)
    assert await acme.told(pool) == [80, 80, 100, 100]
    assert len(await acme.mails(pool)) == 5


async def test_limits_that_only_count_or_are_too_short_are_not_told_of(pool):
    acme = await customer(pool, "1/minute", "1/month per key")
    await acme.used(pool, 5)
    await pool.execute(
        "insert into plan_limit (plan_id, name, amount, period, shadow, scope, unit)"
        " select id, 'quiet', 1, 'month', true, 'organization', 'requests' from plan where slug = $1",
        acme.slug,
    )
    assert (await acme.look(pool)).levels == 0
    assert await acme.events(pool) == []


async def test_spend_caps_are_told_to_who_pays(pool):
    acme = await customer(pool)
    async with pool.acquire() as connection:
        await set_organization_caps(connection, acme.slug, {"day": 2 * MICRO, "month": 0})
    await acme.used(pool, 3, cost_micro=MICRO // 2)
    await acme.look(pool)
    await acme.look(pool)
    ((_, data),) = await acme.events(pool)
    assert (data["measure"], data["name"], data["percent"], data["used"], data["limit"]) == (
        "spend_cap", "spend_cap.day", 50, "1.5", "2",
    )  # fmt: skip
    mails = await acme.mails(pool)
    assert [role for role, _ in mails] == ["billing", "owner"]
    assert mails[0][1].subject == "Acme has spent 50 % of its spend cap"
    assert "spent 1.5 of 2 credits of its spend cap for this day" in mails[0][1].text


async def test_low_credits_are_told_once_until_there_are_enough_again(pool):
    acme = await customer(pool)

    async def income(amount: int, kind: EntryType) -> None:
        async with pool.acquire() as connection:
            await grant(connection, acme.id, amount_micro=amount, reason="test", type=kind)

    async def left(micro: int) -> None:
        await pool.execute(
            "update credit_account set balance_micro = $2, usage_micro = usage_micro + balance_micro - $2"
            " where organization_id = $1",
            acme.id,
            micro,
        )

    assert (await acme.look(pool)).levels == 0
    await income(100 * MICRO, EntryType.PURCHASE)
    await income(1 * MICRO, EntryType.BONUS)
    await left(10 * MICRO)
    assert (await acme.look(pool)).levels == 0
    await left(9_500_000)
    assert (await acme.look(pool, low_credits_percent=0)).levels == 0
    assert ((await acme.look(pool)).levels, (await acme.look(pool)).levels) == (1, 0)
    await left(12 * MICRO)
    assert (await acme.look(pool)).armed == 0
    await income(50 * MICRO, EntryType.PURCHASE)
    assert (await acme.look(pool)).armed == 1
    await left(4 * MICRO)
    await acme.look(pool)
    assert await acme.events(pool) == [
        ("credits.low", {"balance": "9.5", "threshold": "10"}),
        ("credits.low", {"balance": "4", "threshold": "5"}),
    ]
    mails = await acme.mails(pool)
    assert sorted(role for role, _ in mails) == ["billing", "billing", "owner", "owner"]
    assert mails[0][1].subject == "Acme has 9.5 credits left"
    assert "9.5 credits left at Gate, less than 10." in mails[0][1].text


async def test_who_wants_no_such_mail_or_cannot_have_one_gets_none(pool):
    acme = await customer(pool, "1/month")
    await pool.execute("insert into user_preference (user_id, notify_usage) values ($1, false)", acme.users["owner"])
    await pool.execute("insert into user_preference (user_id, notify_usage) values ($1, true)", acme.users["viewer"])
    await pool.execute("update users set email_verified_at = null where id = $1", acme.users["admin"])
    await pool.execute("update users set active = false where id = $1", acme.users["billing"])
    await acme.used(pool, 1)
    assert (await acme.look(pool)).mails == 2
    assert [role for role, _ in await acme.mails(pool)] == ["developer", "viewer"]
    assert await acme.told(pool) == [100], "webhooks are the organization's"


@pytest.mark.parametrize("state", ["suspended", "closed"])
async def test_nothing_is_told_to_who_is_suspended_or_closed(pool, state):
    acme = await customer(pool, "1/month")
    await acme.used(pool, 1)
    await pool.execute("update organization set state = $2 where id = $1", acme.id, state)
    told = await acme.look(pool)
    assert (told.levels, told.mails, await acme.events(pool), await acme.mails(pool)) == (0, 0, [], [])
    assert not await pool.fetchval("select exists (select from alert_state where organization_id = $1)", acme.id)
    if state == "suspended":
        await pool.execute("update organization set state = 'active' where id = $1", acme.id)
        assert (await acme.look(pool)).levels == 1


async def test_nothing_is_told_of_a_plan_that_has_ended(pool):
    acme = await customer(pool, "1/month")
    await acme.used(pool, 1)
    await pool.execute(
        "update subscription set state = 'cancelled', ended_at = now() where organization_id = $1", acme.id
    )
    assert (await acme.look(pool)).levels == 0

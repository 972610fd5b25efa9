"""The job that tells of alerts: who is looked at, one that cannot be, and a look that is too long."""

from uuid import UUID

import pytest

from domain.alerts.customers import NOWHERE, next_organizations
from domain.faults import NotFound
from domain.job_runs import begin, fail, succeed
from domain.settings import SecretSettings
from jobs import usage_alerts
from jobs.work import Finding, Work
from tests.integration.domain.alerts.customers import Customer, customer, now


@pytest.fixture
async def three(own_pool) -> list[Customer]:
    """In the order in which they are looked at; each has used its month up."""
    made = [await customer(own_pool, "1/month") for _ in range(3)]
    for one in made:
        await one.used(own_pool, 1)
    return sorted(made, key=lambda one: one.id)


def work(pool, settings) -> Work:
    return Work(pool, None, settings)


async def told(pool) -> list[UUID]:
    return [row["organization_id"] for row in await pool.fetch("select organization_id from alert_state order by 1")]


async def test_who_is_active_and_used_something_is_looked_at_in_batches(own_pool, settings, three, monkeypatch):
    idle, gone = await customer(own_pool, "1/month"), await customer(own_pool, "1/month")
    await gone.used(own_pool, 1)
    await own_pool.execute("update organization set state = 'suspended' where id = $1", gone.id)
    monkeypatch.setattr(usage_alerts, "BATCH", 2)
    assert await usage_alerts.run(work(own_pool, settings)) == {
        "looked_at": 3,
        "told": 3,
        "mails": 15,
        "armed_again": 0,
    }
    assert idle.id not in await told(own_pool)
    assert (await usage_alerts.run(work(own_pool, settings)))["told"] == 0


async def test_what_was_told_is_looked_at_until_its_window_is_over(own_pool, settings, three):
    await usage_alerts.run(work(own_pool, settings))
    await own_pool.execute("delete from organization_usage")
    ids = [one.id for one in three]
    async with own_pool.acquire() as connection:
        assert await next_organizations(connection, NOWHERE, now(), 10) == ids
        assert await next_organizations(connection, ids[0], now(), 1) == [ids[1]]
        await connection.execute("update alert_state set period_ends = now() where organization_id = $1", ids[0])
        assert await next_organizations(connection, NOWHERE, now(), 10) == ids[1:]


async def test_one_that_cannot_be_looked_at_keeps_nobody_else_from_being_told(own_pool, settings, three, monkeypatch):
    look = usage_alerts.look_at_organization

    async def broken(connection, looker, organization_id, at):
        if organization_id == three[0].id:
            raise NotFound("gone")
        return await look(connection, looker, organization_id, at)

    monkeypatch.setattr(usage_alerts, "look_at_organization", broken)
    assert (await usage_alerts.run(work(own_pool, settings)))["failed"] == 1
    assert await told(own_pool) == [one.id for one in three[1:]]


async def broken_in_the_database(pool, one: Customer) -> None:
    """Whatever is written of its alerts raises an error of the database."""
    await pool.execute(
        "create function no_alerts() returns trigger language plpgsql as"
        f" $$ begin if new.organization_id = '{one.id}' then raise 'broken'; end if; return new; end $$;"
        " create trigger no_alerts before insert or update on alert_state for each row execute function no_alerts()"
    )


async def test_an_error_of_the_database_over_one_is_told_to_operators_and_all_others_are_done(
    own_pool, settings, three
):
    await broken_in_the_database(own_pool, three[0])
    with pytest.raises(Finding, match="1 organizations could not") as found:
        await usage_alerts.run(work(own_pool, settings))
    assert (found.value.result["looked_at"], found.value.result["failed"], found.value.result["told"]) == (3, 1, 2)
    assert await told(own_pool) == [one.id for one in three[1:]]


async def test_a_look_that_failed_for_one_and_was_too_long_is_gone_on_behind(own_pool, settings, three, monkeypatch):
    await broken_in_the_database(own_pool, three[0])
    monkeypatch.setattr(usage_alerts, "BATCH", 1)
    monkeypatch.setattr(usage_alerts, "MOST_SECONDS", -1.0)
    with pytest.raises(Finding) as found:
        await usage_alerts.run(work(own_pool, settings))
    async with own_pool.acquire() as connection:
        run = await begin(connection, "usage-alerts", "t1", worker="test", now=now())
        await fail(connection, run, "1 failed", now(), result=found.value.result)
    assert (await usage_alerts.run(work(own_pool, settings)))["after"] == str(three[1].id)


async def test_a_look_that_is_too_long_ends_and_the_next_goes_on_behind_it(own_pool, settings, three, monkeypatch):
    monkeypatch.setattr(usage_alerts, "BATCH", 1)
    monkeypatch.setattr(usage_alerts, "MOST_SECONDS", -1.0)
    for number, one in enumerate(three, 1):
        result = await usage_alerts.run(work(own_pool, settings))
        assert result["after"] == str(one.id)
        assert await told(own_pool) == [each.id for each in three[:number]]
        async with own_pool.acquire() as connection:
            run = await begin(connection, "usage-alerts", f"t{number}", worker="test", now=now())
            await succeed(connection, run, result, now())
    assert "after" not in await usage_alerts.run(work(own_pool, settings)), "nobody is left: the next one begins anew"


async def test_mails_can_be_read_with_the_settings_of_the_jobs(own_pool, settings, three):
    settings.secrets = SecretSettings(keys=f"1:{'33' * 32}")
    await usage_alerts.run(work(own_pool, settings))
    assert (await three[0].mails(own_pool))[0][1].subject == "Acme has reached 100 % of month"

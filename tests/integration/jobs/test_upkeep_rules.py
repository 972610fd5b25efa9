"""Rules that jobs call and that nothing else does: forgetting in batches, old runs, the report on keys, days that are gone."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import keys
from domain.credits.granting import grant
from domain.credits.reconciling import reconcile
from domain.forgetting import KINDS, ages, forget
from domain.job_run_reading import MOST_RUNS, delete_old
from domain.key_hygiene import look_at_keys
from domain.log_retention import kept_days
from domain.settings import KeySettings
from tests.databases import PEPPERS
from tests.integration.domain.credits.accounts import new_organization, serve
from tests.integration.jobs.test_log_days import organization

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


async def test_forgetting_goes_in_batches_and_keeps_what_is_alive(own_pool, settings):
    await own_pool.execute(
        "insert into api_reply (scope, key, fingerprint, created_at)"
        " select 's', n::text, 'f', now() - case when n <= 5 then interval '2 days' else interval '1 hour' end"
        " from generate_series(1, 7) as n"
    )
    kept = ages(settings)
    assert kept.keys() == set(KINDS)
    async with own_pool.acquire() as connection:
        before = NOW - kept["answers of the API"]
        assert [await forget(connection, "answers of the API", before, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert await own_pool.fetchval("select count(*) from api_reply") == 2


async def test_an_event_is_kept_while_it_is_on_its_way(own_pool, settings):
    owner = await organization(own_pool)
    endpoint = await own_pool.fetchval(
        "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://x.example', '') returning id",
        owner,
    )
    event = await own_pool.fetchval(
        "insert into webhook_event (organization_id, type, payload, created_at)"
        " values ($1, 'x', '{}', now() - interval '90 days') returning id",
        owner,
    )
    await own_pool.execute(
        "insert into webhook_delivery (event_id, endpoint_id, organization_id) values ($1, $2, $3)",
        event,
        endpoint,
        owner,
    )
    async with own_pool.acquire() as connection:
        assert [await forget(connection, kind, NOW) for kind in ("webhook deliveries", "webhook events")] == [0, 0]
        await connection.execute("update webhook_delivery set state = 'failed', ended_at = now() - interval '40 days'")
        gone = [await forget(connection, kind, NOW - 30 * DAY) for kind in ("webhook deliveries", "webhook events")]
    assert gone == [1, 1]


async def test_old_runs_go_and_what_failed_stays_as_long_as_its_days(own_pool):
    await own_pool.execute(
        "insert into job_run (name, ticket, state, created_at, ended_at)"
        " select 'often', n::text, 'succeeded', now() - n * interval '1 minute', now() from generate_series(1, $1) as n",
        MOST_RUNS + 20,
    )
    await own_pool.execute(
        "insert into job_run (name, ticket, state, created_at, ended_at) values"
        " ('often', 'a', 'failed', now() - interval '29 days', now()), ('often', 'b', 'failed', now() - interval '31 days', now())"
    )
    await own_pool.execute(
        "insert into job_run (name, ticket, created_at) values ('often', 'c', now() - interval '90 days')"
    )
    async with own_pool.acquire() as connection:
        assert await delete_old(connection, NOW, 30) == 21
        assert await delete_old(connection, NOW, 30) == 0
    left = await own_pool.fetch("select state, count(*) from job_run group by 1 order by 1")
    assert [tuple(row) for row in left] == [("failed", 1), ("succeeded", MOST_RUNS), ("waiting", 1)]


async def test_the_report_counts_keys_that_should_be_looked_at(own_pool):
    owner, settings = await organization(own_pool), KeySettings(peppers=PEPPERS)
    made = []
    async with own_pool.acquire() as connection:
        for number in range(6):
            made.append((await keys.create(connection, settings, organization_id=owner, name=str(number))).record.id)
    changes = (
        "created_at = now() - interval '100 days'",
        "created_at = now() - interval '400 days', last_used_at = now() - interval '99 days'",
        "expires_at = now() + interval '3 days', allowed_ips = '{10.0.0.0/8}'",
        "revoked_at = now(), created_at = now() - interval '900 days'",
        "pepper_version = 1, scopes = '{weather}'",
    )
    for key_id, change in zip(made, changes, strict=False):
        await own_pool.execute(f"update api_key set {change} where id = $1", key_id)
    async with own_pool.acquire() as connection:
        found = await look_at_keys(connection, NOW, 2)
    assert found.counts == {
        "live": 5, "never_used": 1, "long_unused": 1, "old_without_an_end": 1, "expiring_soon": 1, "unrestricted": 3,
        "under_an_old_pepper": 1, "imported": 0,
    }  # fmt: skip
    assert list(found.unused_by_organization.values()) == [2]


async def test_usage_of_a_day_that_was_dropped_while_an_older_one_is_kept_is_no_drift(own_pool):
    async with own_pool.acquire() as connection:
        owner = await new_organization(connection)
        await grant(connection, owner, amount_micro=1_000_000, reason="x")
        await serve(connection, {owner: [100, 200]}, held="")
        assert (await reconcile(connection)).drifts == []
        today = datetime.now(UTC).date()
        table = f"request_log_{today:%Y%m%d}"
        await connection.execute(f"alter table request_log detach partition {table}; drop table {table}")
        drifts = (await reconcile(connection)).drifts
        assert {drift.what.partition(" ")[0] for drift in drifts} == {"requests", "amount"}, (
            "yesterday's table is there"
        )
        await connection.execute("insert into log_day (day, edition, dropped_at) values ($1, 1, now())", today)
        found = await reconcile(connection)
    assert (found.drifts, found.usage_entries, found.usage_entries_checked) == ([], 1, 0)


@pytest.mark.parametrize(("log_days", "days"), [(None, 3), (2, 3), (30, 30)])
async def test_logs_are_kept_as_long_as_everybodys_or_the_plans(own_pool, log_days, days):
    owner = await organization(own_pool, **({"log_days": log_days} if log_days else {}))
    async with own_pool.acquire() as connection:
        assert await kept_days(connection, owner, 3) == days

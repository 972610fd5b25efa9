"""`doctor` finds what is wrong on real servers, says what to do, and shows no secret."""

import json

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.checkup.servers import check_clock, check_postgres, check_redis
from cli.checkup.traces import check_traces
from cli.main import app
from domain import keys, organizations, plans
from domain.audit import Actor, Thing, Verb, record
from domain.audit_chain.sealing import seal
from domain.settings import load_settings
from tests.collectors import answer, collecting

PEPPER = "1:" + bytes(range(32)).hex()


async def status_of(findings):
    return {finding.subject: finding.status async for finding in findings}


@pytest.fixture
def configured(monkeypatch, fresh_database_url, redis_url):
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("KEY_PEPPERS", PEPPER)


async def test_healthy_servers(configured):
    settings = load_settings()
    postgres, redis = await status_of(check_postgres(settings)), await status_of(check_redis(settings))
    server = ("connections of postgres", "time zone of postgres")
    assert postgres.pop("durability of postgres") == "warn"  # the servers of the tests do not wait for the disk
    wanted = (
        "postgres",
        *server,
        "schema",
        "partitions",
        "peppers of keys",
        "renewals",
        "audit chain",
        "clock of postgres",
    )
    assert postgres == dict.fromkeys(wanted, "ok") | {
        "jobs": "warn"
    }  # none has run yet | {"jobs": "warn"}  # no worker has run yet
    assert redis == {
        "redis": "ok",
        "redis maxmemory-policy": "ok",
        "redis appendonly": "warn",  # the servers of the tests keep no file
        "redis writes": "ok",
        "clock of redis": "ok",
    }


@pytest.mark.parametrize(
    ("age", "state", "verdict"),
    [("1 minute", "succeeded", "ok"), ("1 minute", "failed", "warn"), ("1 day", "succeeded", "warn")],
)
async def test_jobs_that_are_late_or_failed_are_told(configured, fresh_database_url, age, state, verdict):
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute(
        "insert into job_run (name, ticket, state, created_at, ended_at)"
        f" values ('subscriptions', 'x', '{state}', now() - interval '{age}', now())"
    )
    await connection.close()
    assert (await status_of(check_postgres(load_settings())))["jobs"] == verdict


async def test_an_empty_database_is_behind(configured, monkeypatch, server_urls):
    monkeypatch.setenv("DATABASE_URL", server_urls[0])
    found = await status_of(check_postgres(load_settings()))
    assert (found["schema"], found["partitions"]) == ("fail", "fail")


async def test_a_lost_pepper_is_found(configured, monkeypatch, fresh_database_url):
    connection = await asyncpg.connect(fresh_database_url)
    await plans.create(connection, slug="starter", limits=[])
    owner = await organizations.create(connection, name="Acme", plan_slug="starter")
    await keys.create(connection, load_settings().keys, organization_id=owner.id, name="CI")
    await connection.close()
    monkeypatch.setenv("KEY_PEPPERS", "2" + PEPPER[1:])
    findings = {finding.subject: finding async for finding in check_postgres(load_settings())}
    assert findings["peppers of keys"].status == "fail"
    assert "version 1" in findings["peppers of keys"].detail


async def test_a_chain_that_nobody_seals_or_that_was_tampered_with_is_found(configured, fresh_database_url):
    async def audit_chain():
        return {finding.subject: finding async for finding in check_postgres(load_settings())}["audit chain"]

    connection = await asyncpg.connect(fresh_database_url)
    await record(connection, Actor(), Verb.CONFIG_APPLY, Thing("plan", "starter"))
    assert (await audit_chain()).status == "ok"
    await connection.execute("update audit_unsealed set created_at = now() - interval '2 hours'")
    late = await audit_chain()
    assert (late.status, "audit seal" in late.advice) == ("warn", True)
    await seal(connection, most=10)
    assert (await audit_chain()).status == "ok"
    await connection.execute("set session_replication_role = replica")
    await connection.execute("update audit_entry set reason = 'forged'")
    wrong = await audit_chain()
    assert (wrong.status, "audit verify" in wrong.advice) == ("fail", True)
    await connection.close()


async def test_renewals_that_nobody_made_are_found(configured, fresh_database_url):
    connection = await asyncpg.connect(fresh_database_url)
    await plans.create(connection, slug="starter", limits=[])
    await organizations.create(connection, name="Acme", plan_slug="starter")
    await connection.execute(
        "update subscription set period_start = now() - interval '9 days', period_end = now() - interval '2 hours'"
    )
    await connection.close()
    findings = {finding.subject: finding async for finding in check_postgres(load_settings())}
    assert findings["renewals"].status == "warn"
    assert findings["renewals"].detail.startswith("1 subscriptions")
    assert "subscriptions sweep" in findings["renewals"].advice


def test_unreachable_servers_fail_with_advice_and_without_a_secret(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/db")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    found = {finding["subject"]: finding for finding in json.loads(result.output)}
    assert {name for name, finding in found.items() if finding["status"] == "fail"} == {"pepper", "postgres", "redis"}
    assert all(finding["advice"] for finding in found.values() if finding["status"] != "ok")
    assert "hunter2" not in result.output


def test_bad_settings_are_named_without_their_value(monkeypatch):
    monkeypatch.setenv("KEY_PEPPERS", "1:deadbeef")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "fewer than 32 bytes" in result.output
    assert "deadbeef" not in result.output


def test_new_pepper_is_good_and_one_version_up(monkeypatch):
    monkeypatch.setenv("KEY_PEPPERS", PEPPER)
    printed = CliRunner().invoke(app, ["doctor", "--new-pepper"]).output.strip()
    monkeypatch.setenv("KEY_PEPPERS", f"{PEPPER},{printed}")
    assert load_settings().keys.current_pepper_version == 2


@pytest.mark.parametrize(("theirs", "status"), [(100.0, "ok"), (97.0, "warn"), (10.0, "fail"), (140.0, "fail")])
def test_clocks(theirs, status):
    assert check_clock("clock", theirs, before=99.9, after=100.1).status == status


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [(None, "ok", "off"), (200, "ok", "takes spans"), (401, "warn", "HEADERS"), (503, "warn", "4317")],
)
async def test_the_collector_of_traces(monkeypatch, given, status, said):
    async with collecting(answer(given or 200)) as collector:
        if given:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        (finding,) = [finding async for finding in check_traces(load_settings())]
        assert (finding.subject, finding.status) == ("traces", status)
        assert said in finding.detail + finding.advice
        assert len(collector.batches) == bool(given)

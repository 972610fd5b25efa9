"""The overview: today against yesterday at this time, and what waits for somebody."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.back_office.overview import DayFigures, read_needs, read_pressed, read_today
from domain.histogram import BUCKETS
from domain.ingesting.grains import EVERY
from domain.operators import OPERATOR_ROLES

NOON = datetime(2026, 5, 13, 12, 30, tzinfo=UTC)


@pytest.fixture
async def fresh(fresh_database_url):
    """A database with nothing in it."""
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


async def used(connection, grain: str, bucket: datetime, requests: int, *, errors: int = 0, refused: int = 0) -> None:
    """Sums of everybody."""
    latency = [0] * BUCKETS
    latency[10] = requests
    await connection.execute(
        "insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests,"
        " errors, refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)"
        " values ($1, $1, $1, $1, $2, $3, 2, $4::bigint, $5, $6, 0, 0, 0, 0, $4::bigint * 1000, $7)",
        EVERY, bucket, grain, requests, errors, refused, latency,
    )  # fmt: skip


async def test_an_installation_without_anything_has_zeros_and_needs_nobody(fresh):
    today, before = await read_today(fresh, NOON)
    assert today == before == DayFigures(0, 0, 0, None, 0, 0, 0)
    needs = await read_needs(fresh, NOON)
    assert (needs.jobs, needs.without_factor, needs.trials, needs.past_due, needs.suspended) == (0, 0, 0, 0, 0)
    assert (needs.has_service, needs.has_plan, needs.has_customer) == (False, False, False)
    assert needs.chain_sound
    assert await read_pressed(fresh, NOON) == []


async def test_yesterday_is_counted_until_the_same_minute(fresh):
    for day, factor in ((NOON, 1), (NOON - timedelta(days=1), 10)):
        midnight = day.replace(hour=0, minute=0)
        await used(fresh, "hour", midnight, 100 * factor, errors=5 * factor, refused=2 * factor)
        await used(fresh, "hour", day.replace(minute=0), 7 * factor)  # the hour that runs: only its minutes count
        await used(fresh, "minute", day.replace(minute=30), 3 * factor)
        await used(fresh, "minute", day.replace(minute=31), 4 * factor)
    today, before = await read_today(fresh, NOON)
    assert (today.requests, today.errors, today.refused, today.spent_micro) == (103, 5, 2, 103_000)
    assert (before.requests, before.errors, before.refused) == (1030, 50, 20)
    assert today.p95_us is not None


async def test_what_waits_for_somebody_is_counted(fresh):
    now = datetime.now(UTC)
    await fresh.execute(
        "insert into users (username, email, password, active, operator_role, admin) values ('a@b.c', 'a@b.c', 'x', true, 'support', true)"
    )
    await fresh.execute(
        "insert into job_run (name, ticket, state, ended_at, error) values ('x', gen_random_uuid(), 'failed', now(), 'broke')"
    )
    await fresh.execute(
        "insert into outbox_message (template, recipient, content, state, ended_at) values ('x', 'a@b.c', 'x', 'failed', now())"
    )
    needs = await read_needs(fresh, now)
    assert (needs.jobs, needs.without_factor) == (1, 1)
    assert ("mails", "given up in the last day", "1", "failed") in needs.unwell


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_the_page_stands_for_every_role_and_links_only_where_the_role_may_go(office, role):
    operator = await office.operator(role)
    page = await operator.browser.get("/")
    assert page.status_code == 200
    paths = {part.split('"')[0] for part in page.text.split('href="')[1:]}
    for path in sorted(path for path in paths if path.startswith("/") and "/assets/" not in path):
        answer = await operator.browser.get(path)
        assert answer.status_code in (200, 303, 307), (role, path)

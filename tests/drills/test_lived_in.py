"""The data set of `python -m tests.drills.lived_in` in its small form: it is whole, and every page of it answers."""

from argparse import Namespace

import asyncpg
import pytest

from domain.journal.decision import unpack_decision
from tests.drills import lived_in
from tests.drills.lived_in_life import AUDITED, DELIVERIES, ENTRIES, MEMBERS, find_life

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
ROWS, KEYS = 20_000, 60


async def test_every_page_of_a_small_one_answers_and_its_figures_agree(embedded_services) -> None:
    options = Namespace(rows=ROWS, keys=KEYS, plans=False)
    outcome = await lived_in.pages(embedded_services, options)
    assert [what for what in outcome.broken if "answers" in what] == []
    assert len(outcome.lines) > 20
    connection = await asyncpg.connect(embedded_services.database_url)
    life = await find_life(connection)
    assert life is not None
    assert await connection.fetchval("select count(*) from request_log") == ROWS
    sums = await connection.fetchrow(
        "select sum(requests) as requests, sum(cost_micro) as cost, sum((select sum(n) from unnest(latency) n)) as counted"
        " from usage_rollup where grain = 'day' and bucket >= (select date_trunc('day', min(at)) from request_log)"
    )
    rows = await connection.fetchrow("select count(*) as requests, sum(cost_micro) as cost from request_log")
    assert (sums["requests"], sums["cost"], sums["counted"]) == (rows["requests"], rows["cost"], rows["requests"])
    summary = await connection.fetchrow(
        "select sum(requests) as requests, sum(cost_micro) as cost, sum((select sum(n) from unnest(latency) n)) as counted"
        " from usage_summary where grain = 'day' and service_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
        " and bucket >= (select date_trunc('day', min(at)) from request_log)"
    )
    assert tuple(summary) == tuple(sums)
    weeks = await connection.fetchval("select sum(requests) from usage_summary where grain = 'week'")
    assert weeks == await connection.fetchval("select sum(requests) from usage_rollup where grain = 'day'")
    for table, count in (
        ("membership", MEMBERS), ("credit_entry", ENTRIES), ("audit_entry", AUDITED), ("webhook_delivery", DELIVERIES),
        ("api_key", KEYS),
    ):  # fmt: skip
        assert await connection.fetchval(f"select count(*) from {table}") >= count, table
    traces = await connection.fetch("select distinct decision from request_log limit 50")
    assert all(unpack_decision(row["decision"]) for row in traces)
    balance = await connection.fetchrow("select balance_micro, entries from credit_account")
    last = await connection.fetchrow(
        "select balance_after_micro, number from credit_entry order by number desc limit 1"
    )
    assert tuple(balance) == tuple(last)
    left = await connection.fetchval("select sum(remaining_micro) from credit_grant")
    assert left == balance["balance_micro"]
    await connection.close()

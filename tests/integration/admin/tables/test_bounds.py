"""Large tables stay quick: exact counts as far as pages go, estimates behind, statements that end in time."""

import time

import asyncpg
import pytest

from admin.tables import counting, questions, relay
from admin.tables.shown import BY_NAME, TABLES
from tests.admins import running_back_office
from tests.integration.admin.tables.asking import ask
from tests.portals import portal_settings

ROWS = 12_000


@pytest.fixture
async def filled(fresh_database_url, redis_url, tmp_path):
    """A back office on a database of its own with 12,000 organizations."""
    async with running_back_office(portal_settings(fresh_database_url, redis_url, tmp_path)) as office:
        await office.pool.execute(
            "insert into organization (slug, name, state) select 'o-' || n, 'O', case when n <= 9000 then 'suspended'"
            f" else 'active' end from generate_series(1, {ROWS}) n",
            timeout=60,
        )
        await office.pool.execute("analyze organization")
        yield (await office.operator("admin")).browser


async def test_a_count_is_exact_up_to_ten_thousand_and_estimated_behind(filled):
    exact = (await ask(filled, "organization/count/", state="suspended")).json()
    assert exact == {"count": 9000, "page_size": 15}
    estimated = (await ask(filled, "organization/count/")).json()["count"]
    assert estimated == pytest.approx(ROWS, rel=0.2)


async def test_pages_end_at_ten_thousand_rows_with_a_sentence(filled):
    last = await ask(filled, "organization/", __page="10", __page_size="1000")
    assert len(last.json()["rows"]) == 1000
    beyond = await ask(filled, "organization/", __page="11", __page_size="1000")
    assert beyond.status_code == 400
    assert "Filter" in beyond.json()


async def test_the_planner_is_asked_where_counting_would_take_too_long(filled, monkeypatch):
    real = counting._selected
    monkeypatch.setattr(
        counting, "_selected", lambda *given: ("select id from organization where pg_sleep(1) is not null", [])
    )
    begin = time.monotonic()
    assert (await ask(filled, "organization/count/")).json()["count"] > questions.MOST_ROWS
    assert time.monotonic() - begin < 0.9
    monkeypatch.setattr(counting, "_selected", real)


async def test_a_statement_that_lasts_too_long_is_given_up_with_a_sentence(filled, fresh_database_url, monkeypatch):
    monkeypatch.setattr(relay, "STATEMENT_MS", 50)
    holder = await asyncpg.connect(fresh_database_url)
    try:
        async with holder.transaction():
            await holder.execute("lock table plan in access exclusive mode")  # whoever reads it now waits
            answer = await ask(filled, "plan/")
    finally:
        await holder.close()
    assert answer.status_code == 503
    assert "Filter" in answer.json()
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("shown", [shown for shown in TABLES if shown.large], ids=lambda shown: shown.name)
async def test_a_large_table_is_ordered_and_filtered_by_an_index(office, shown):
    defined = await office.pool.fetch("select indexdef from pg_indexes where tablename = $1", shown.name)
    indexed = [row["indexdef"].partition(" USING btree (")[2].replace('"', "") for row in defined]
    whole = [each for each in indexed if " WHERE " not in each]
    for column in shown.orders.split():
        assert any(each.startswith((f"{column})", f"{column},", f"{column} ")) for each in whole), (column, indexed)
    for column in shown.filters.split():
        named = (f"{column})", f"{column},", f"{column} ")
        leads = any(each.startswith(named) for each in indexed)
        assert leads or any(f", {column}" in each for each in whole), (column, indexed)


async def test_the_newest_requests_of_a_key_are_found_by_an_index(office):
    query = "explain select id from request_log where key_id = $1 order by at desc limit 15"
    async with office.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        plan = await connection.fetch(query, "00000000-0000-4000-8000-000000000000")
    assert "Seq Scan" not in "\n".join(row[0] for row in plan)


async def test_texts_in_a_large_table_are_compared_whole_whatever_the_form_says():
    pairs = questions.of_rows(BY_NAME["audit_entry"], [("object_id", "x"), ("object_id__match", "contains")])
    assert ("object_id__match", "exact") in pairs


async def test_an_unreachable_database_is_told(office, superuser, monkeypatch):
    async def away(*_, **__):
        raise asyncpg.CannotConnectNowError("starting up")

    monkeypatch.setattr("admin.tables.guard.ask", away)
    answer = await ask(superuser.browser, "plan/")
    assert answer.status_code == 503
    assert "database" in answer.json()

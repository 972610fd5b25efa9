"""The data set of `python -m tests.drills.lived_in_office` in its small form: it adds up, and every page of it answers."""

from argparse import Namespace

import asyncpg
import pytest

from tests.drills import lived_in_office
from tests.drills.lived_in_office_filling import HEAVY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ORGANIZATIONS, ROWS = 200, 4_000
TOO_MANY = "/what-if?plan=plan-1&limits=100%2Fhour&days=7&who=everybody"
"""Refused in both forms: the sums of usage, which are of a large installation's shape here too, say millions of requests."""


async def test_every_page_of_a_small_one_answers_and_its_figures_agree(embedded_services) -> None:
    options = Namespace(organizations=ORGANIZATIONS, rows=ROWS, plans=False, json=True, only="", warm=1)
    outcome = await lived_in_office.pages(embedded_services, options)
    assert [what for what in outcome.broken if "answers" in what] == []
    assert [line[0] for line in outcome.lines if "no value" in line[-1]] == []
    answers = {line[0]: line[1] for line in outcome.lines}
    looked = [name for name in answers if not name.startswith(("preview of", "table "))]
    assert [(name, answers[name]) for name in looked if answers[name] not in ("200", "303")] == [(TOO_MANY, "422")]
    connection = await asyncpg.connect(embedded_services.database_url)
    for table, count in (("organization", ORGANIZATIONS), ("api_key", 5 * ORGANIZATIONS), ("request_log", ROWS)):
        assert await connection.fetchval(f"select count(*) from {table}") == count, table
    drifts = await connection.fetch(
        "select organization_id from credit_account a where balance_micro <> (select balance_after_micro from credit_entry e"
        " where e.organization_id = a.organization_id order by number desc limit 1)"
    )
    assert drifts == []
    foreign = await connection.fetchval(
        "select count(*) from request_log r join api_key k on k.id = r.key_id where k.organization_id <> r.organization_id"
    )
    assert foreign == 0
    of_heavy = await connection.fetchval(
        "select count(*) from request_log r join organization o on o.id = r.organization_id where o.slug = $1", HEAVY
    )
    assert of_heavy > ROWS / 5
    dangling = await connection.fetchval(
        "select count(*) from request_log r where r.key_id is not null and not exists (select from api_key k where k.id = r.key_id)"
    )
    assert dangling == 0
    await connection.close()

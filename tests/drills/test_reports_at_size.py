"""`python -m tests.drills.reports_at_size` in its small form: every report is made of that data, and finds what is in it."""

from argparse import Namespace
from datetime import UTC, datetime

import asyncpg
import pytest

from domain.migrating import migrate
from domain.reports.choosing import parse_choice
from domain.reports.registry import REPORTS
from tests.drills.reports_at_size import measured
from tests.drills.reports_filling import fill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_every_report_of_a_small_one_has_rows(embedded_services) -> None:
    url = embedded_services.database_url
    await migrate(url)
    connection = await asyncpg.connect(url)
    await fill(connection, 500)
    for slug, kind in REPORTS.items():
        choice = await parse_choice(connection, kind, {}, datetime.now(UTC))
        assert (await kind.make(connection, choice)).rows, slug
    await connection.close()
    outcome = await measured(url, Namespace(organizations=500, plans=False, only=""))
    assert len(outcome.lines) > 50

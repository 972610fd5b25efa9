"""A database of a test's own, in which organizations live as in production: by the domain's commands and the ingester."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from domain.reports.choosing import parse_choice
from domain.reports.registry import REPORTS
from domain.reports.shapes import Report


@dataclass
class Reports:
    """Reports of a database at one moment."""

    connection: asyncpg.Connection
    now: datetime

    async def make(self, slug: str, **texts: Any) -> Report:
        """One report."""
        kind = REPORTS[slug]
        choice = await parse_choice(self.connection, kind, {name: str(text) for name, text in texts.items()}, self.now)
        return await kind.make(self.connection, choice)


@pytest.fixture
async def database(fresh_database_url):
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def reports(database) -> Reports:
    return Reports(database, datetime.now(UTC).replace(microsecond=0))


def rows_of(report: Report) -> list[dict[str, Any]]:
    """Rows by the names of their columns; things by their names."""
    names = [column.name for column in report.columns]
    return [
        {name: getattr(value, "name", value) for name, value in zip(names, row, strict=True)} for row in report.rows
    ]


def facts_of(report: Report) -> dict[str, Any]:
    return {fact.name: fact.value for fact in report.facts}

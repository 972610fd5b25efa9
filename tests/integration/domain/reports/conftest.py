"""A database of a test's own, in which organizations live as in production: by the domain's commands and the ingester."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import keys, operations, organizations, plans, services
from domain.limit_texts import parse_limits
from domain.reports.choosing import parse_choice
from domain.reports.registry import REPORTS
from domain.reports.shapes import Report
from domain.settings import KeySettings
from tests.integration.domain.conftest import PEPPERS
from tests.usage import call, stored


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


@dataclass
class Shop:
    """Two customers on one plan, a service with two operations, all made by the domain's commands."""

    connection: asyncpg.Connection
    now: datetime
    acme: Any
    beta: Any
    keys: dict[str, UUID]
    service: UUID
    fast: UUID
    slow: UUID

    def call(self, who: str, age: timedelta = timedelta(0), operation: UUID | None = None, **changes: Any) -> bytes:
        """One request of `acme` or `beta`, so long ago."""
        customer = {"acme": self.acme, "beta": self.beta}[who]
        at = self.now - age
        return call(customer.id, at, self.keys[who], self.service, operation or self.fast, **changes)

    async def store(self, *records: bytes, folded: bool = True) -> None:
        """As the ingester stores and folds."""
        await stored(self.connection, records, folded=folded)


@pytest.fixture
async def shop(database, reports) -> Shop:
    limits = parse_limits(["100/hour", "1000/month", "50/day per key"])
    await plans.create(database, slug="starter", name="Starter", limits=limits, price_cents=900)
    customers, made = {}, {}
    for slug in ("acme", "beta"):
        customers[slug] = await organizations.create(database, name=slug.title(), plan_slug="starter", slug=slug)
        created = await keys.create(
            database, KeySettings(peppers=PEPPERS), organization_id=customers[slug].id, name=f"{slug} key"
        )
        made[slug] = created.record.id
    service = await services.create(
        database, slug="maps", name="Maps", prefix="/maps", upstreams=["http://127.0.0.1:9"]
    )
    of = {
        name: await operations.create(
            database, service_slug="maps", method="GET", path_pattern=f"/{name}", name=name, price_micro=100_000
        )
        for name in ("fast", "slow")
    }
    return Shop(
        database, reports.now, customers["acme"], customers["beta"], made, service.id, of["fast"].id, of["slow"].id
    )

"""An older installation and a new one, each with a database of its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain import plans
from domain.audit import Actor
from domain.legacy.importing import Options, import_legacy
from domain.legacy.report import Line, Totals
from domain.limit_texts import parse_limits
from domain.settings import Settings
from tests.legacy import Old, older_installation
from tests.portals import portal_settings

ACTOR = Actor(name="the test")


@dataclass
class Run:
    """What one import said."""

    totals: Totals
    lines: list[Line] = field(default_factory=list)

    def of(self, old_id: str) -> tuple[str, tuple[str, ...]]:
        """Outcome and notes of one row."""
        found = [(line.outcome.value, line.notes) for line in self.lines if line.old_id == old_id]
        assert len(found) == 1, found
        return found[0]

    def count(self, table: str, outcome: str) -> int:
        """How many rows of a table came out so."""
        return self.totals.lines[table, outcome]


@dataclass
class New:
    """The new installation; the plan that customers begin on is `free`."""

    url: str
    connection: Any
    settings: Settings

    async def take(self, old: Old, **options: Any) -> Run:
        """Import the older one."""
        lines: list[Line] = []
        totals = await import_legacy(self.connection, self.settings, old.url, ACTOR, Options(**options), lines.extend)
        return Run(totals, lines)


@pytest.fixture
async def new(fresh_database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[New]:
    connection = await asyncpg.connect(fresh_database_url)
    await plans.create(connection, slug="free", limits=parse_limits(["10/hour"]))
    try:
        settings = portal_settings(fresh_database_url, redis_url, tmp_path)
        settings.portal = settings.portal.model_copy(update={"sign_up_plan": "free"})
        yield New(fresh_database_url, connection, settings)
    finally:
        await connection.close()


@pytest.fixture
async def old(server_urls: tuple[str, str]) -> AsyncIterator[Old]:
    """The older installation, as the page describes it."""
    async with older_installation(server_urls[0]) as made:
        yield made


@pytest.fixture
async def lax(server_urls: tuple[str, str]) -> AsyncIterator[Old]:
    """One in which nothing is checked."""
    async with older_installation(server_urls[0], strict=False) as made:
        yield made

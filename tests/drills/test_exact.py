"""Show 1 in its short form; `python -m tests.drills.exact` runs the long one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.databases import Databases
from loadtests.installation import Installation
from tests.drills import exact
from tests.drills.exact import Place, place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Iterator[Place]:
    """Two gateways with two workers each."""
    folder = Path(tmp_path_factory.mktemp("exact"))
    with place(Installation(folder, Databases(database_url, redis_url, embedded=False))) as one:
        yield one


async def test_a_thousand_per_hour_are_a_thousand(where: Place) -> None:
    assert (await exact.hourly(where, windows=1)).broken == []


async def test_a_thousand_per_hour_are_a_thousand_while_workers_are_killed(where: Place) -> None:
    assert (await exact.hourly(where, windows=1, kills=True)).broken == []


async def test_five_per_second_are_five_in_any_second(where: Place) -> None:
    assert (await exact.secondly(where, seconds=5.0)).broken == []


async def test_five_per_second_are_five_in_any_second_while_workers_are_killed(where: Place) -> None:
    assert (await exact.secondly(where, seconds=6.0, kills=True)).broken == []

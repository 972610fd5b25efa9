"""The drills in their short forms; `python -m tests.drills.NAME` runs the long ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.databases import Databases
from loadtests.installation import Installation
from tests.drills import crash, reload, revoke
from tests.drills.stage import Stage, stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Installation:
    """An installation on the databases of this test run."""
    return Installation(Path(tmp_path_factory.mktemp("drills")), Databases(database_url, redis_url, embedded=False))


@pytest.fixture(scope="module")
def scene(made: Installation) -> Iterator[Stage]:
    """A gateway with two workers."""
    with stage(made) as one:
        yield one


async def test_a_reload_under_load_loses_no_request(scene: Stage) -> None:
    assert (await reload.drill(scene, reloads=1, pause=1.0)).broken == []


async def test_a_killed_worker_costs_no_new_connection(scene: Stage) -> None:
    assert (await crash.drill(scene, kills=1, pause=1.0)).broken == []


async def test_a_revoked_key_stops_in_time_with_and_without_notifications(made: Installation) -> None:
    outcomes = await revoke.all_ways(made, count=5, cut_count=2)
    assert [what for outcome in outcomes for what in outcome.broken] == []

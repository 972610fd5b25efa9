"""Show 1 of the money work in its short form; `python -m tests.drills.spend` runs the long one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.databases import Databases
from loadtests.installation import Installation
from tests.drills import spend
from tests.drills.spend import Market, market

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Iterator[Market]:
    """One gateway with four workers."""
    folder = Path(tmp_path_factory.mktemp("spend"))
    with market(Installation(folder, Databases(database_url, redis_url, embedded=False))) as one:
        yield one


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_five_credits_buy_fifty_of_a_thousand_calls_at_once(where: Market, warm: bool) -> None:
    assert (await spend.exact(where, 1, warm=warm)).broken == []


async def test_killed_workers_leave_the_ledger_as_the_rows_say_and_nothing_held(where: Market) -> None:
    assert (await spend.killed(where, 5.0)).broken == []


async def test_two_customers_spend_what_they_have_while_redis_is_wiped_and_connections_are_cut(where: Market) -> None:
    assert (await spend.shaken(where, 1)).broken == []

"""A replay of what real limiters were asked: never fewer than they admitted, and as many where windows are fixed."""

import asyncio
import time

import pytest

from domain.quotas.limiter import Limiter
from tests.limits import consume
from tests.snapshots import key, limit, plan
from tests.unit.domain.what_if.asking import asked, side


async def asked_in_turn(limiters: list[Limiter], caller, sold, number: int, pause: float) -> list[tuple[int, bool]]:
    """When each request was decided (microseconds), and whether it was admitted."""
    found = []
    for turn in range(number):
        verdict = await consume(limiters[turn % len(limiters)], caller, sold)
        found.append((time.time_ns() // 1_000, verdict.allowed))
        await asyncio.sleep(pause)
    return found


def admitted_again(sold, found) -> list[bool]:
    tested = side(sold)
    return [tested.ask(asked(at)) for at, _ in found]


@pytest.mark.parametrize("count", [1, 3])
async def test_fixed_windows_admit_the_same_requests(workers, count):
    if time.time() % 3_600 > 3_590:
        await asyncio.sleep(11)
    sold = plan(limit("hour", 40), limit("day", 60), limit("day", 25, name="own", scope="key"))
    found = await asked_in_turn(await workers(count), key(), sold, 60, 0)
    assert [allowed for _, allowed in found] == admitted_again(sold, found)
    assert sum(allowed for _, allowed in found) == 25


async def test_a_sliding_second_admits_no_fewer_and_hardly_more(workers):
    sold = plan(limit("second", 10))
    found = await asked_in_turn(await workers(1), key(), sold, 200, 0.02)
    real, again = sum(allowed for _, allowed in found), sum(admitted_again(sold, found))
    seconds = (found[-1][0] - found[0][0]) / 1e6
    assert real <= again + seconds
    assert again <= real + 3 * seconds
    assert again < 200, (real, again)

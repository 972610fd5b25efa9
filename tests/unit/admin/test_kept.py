"""A value that is kept is read once for all who ask, anew when it is old, and not kept when reading fails."""

import asyncio

import pytest

from admin.web.kept import Kept


async def test_it_is_read_once_for_all_who_ask_at_once_and_anew_when_it_is_old():
    reads = []

    async def read():
        reads.append(1)
        await asyncio.sleep(0)
        return len(reads)

    kept = Kept(60.0)
    assert await asyncio.gather(*(kept.get(read) for _ in range(5))) == [1] * 5
    old = Kept(0.0)
    assert [await old.get(read), await old.get(read)] == [2, 3]


async def test_a_fault_keeps_nothing():
    async def broken():
        raise TimeoutError

    async def whole():
        return 7

    kept = Kept(60.0)
    with pytest.raises(TimeoutError):
        await kept.get(broken)
    assert await kept.get(whole) == 7

"""Small parts of the catalog: what a notification says, how reloads are merged."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from domain.catalog.changes import Change, parse_change
from domain.catalog.key_cache import KeyCache
from domain.catalog.reloads import Reloads
from domain.snapshots import KeySnapshot

ROW, ORGANIZATION = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.mark.parametrize(
    ("payload", "change"),
    [
        (
            f'{{"t": "api_key", "id": "{ROW}", "org": "{ORGANIZATION}", "g": 7}}',
            Change("api_key", ROW, ORGANIZATION, 7),
        ),
        (f'{{"t": "plan", "id": "{ROW}", "org": null, "g": 8}}', Change("plan", ROW, None, 8)),
        ('{"t": "api_key", "id": null, "org": null, "g": 9}', Change("api_key", None, None, 9)),
        ("", Change("", None, None, 0)),
        ("[]", Change("", None, None, 0)),
        ('{"t": "api_key", "id": "no uuid", "g": 1}', Change("", None, None, 0)),
        ('{"id": null}', Change("", None, None, 0)),
    ],
)
def test_what_cannot_be_read_is_a_change_of_everything(payload, change):
    assert parse_change(payload) == change


async def test_wishes_during_a_load_make_one_more():
    begun, go = [], asyncio.Event()

    async def load():
        begun.append(len(begun))
        await go.wait()

    reloads = Reloads(load)
    task = asyncio.create_task(reloads.run())
    first = asyncio.create_task(reloads.fresh())
    while not begun:
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(reloads.fresh()) for _ in range(100)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *waiting)
    assert begun == [0, 1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_load_that_fails_is_tried_again_and_whoever_waits_is_told(caplog):
    tries = []

    async def load():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("away")
        if len(tries) == 2:
            raise KeyError("a fault of ours")

    reloads = Reloads(load)
    task = asyncio.create_task(reloads.run())
    with pytest.raises(OSError, match="away"):
        await reloads.fresh()
    with pytest.raises(KeyError):
        await reloads.fresh()
    await reloads.fresh()
    assert len(tries) == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_key_that_reads_the_same_stays_the_same_object_and_is_as_old_as_its_last_read():
    cache = KeyCache(10, 10)
    first = KeySnapshot(
        ROW, ORGANIZATION, "acme", "active", None, "free", "key", "pe_live_", "live", frozenset({"a"}), (), None, False
    )  # fmt: skip
    again, other = replace(first), replace(first, revoked=True)
    for read_at, snapshot, held in ((1.0, first, first), (2.0, again, first), (3.0, other, other)):
        assert cache.store(b"digest", snapshot, cache.begin(read_at))
        cache.end()
        assert cache.known[b"digest"].snapshot is held
        assert cache.known[b"digest"].read_at == read_at
    cache.forget_organization(ORGANIZATION)
    assert not cache.known

"""`python -m tests.drills.revoke --count 50`: how long a revoked key lives, under 200 requests a second on two workers.

Three ways: with notifications; with every listener's connection ended again and again by the database; with the
listener's connection silent. Measured from *before* the revoking statement is sent to the arrival of the last 2xx, so
what is shown is an upper bound. The promise (G4): under 1 s; without notifications under 5 s.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from loadtests.installation import Installation, installation
from loadtests.raw_client import Address, BrokenAnswerError, Connection, once
from tests.drills.notification_cut import NotificationCut
from tests.drills.outcome import Outcome, arguments, tell
from tests.drills.stage import Stage, stage

RATE, CALLERS = 200, 20
WARM_SECONDS, QUIET_SECONDS = 0.6, 0.6
PROMISE_SECONDS = {"notified": 1.0, "terminated": 5.0, "silent": 5.0}
REVOKE = "update api_key set revoked_at = now(), revoked_reason = 'drill' where id = $1"
END_LISTENERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and application_name = 'paid-endpoint listener'"
)


@dataclass(slots=True)
class Seen:
    """What the callers of one key saw: when the last 2xx arrived, how many there were, and other statuses."""

    last_good: float = 0.0
    good: int = 0
    others: dict[int, int] = field(default_factory=dict)
    broken: int = 0


async def caller(address: Address, key: str, seen: Seen, start: float, *, keeps: bool) -> None:
    """Ask at a steady pace until cancelled, on one connection or on a new one each time."""
    connection, due = Connection(address, key), start
    try:
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + CALLERS / RATE, time.monotonic())
            try:
                if not keeps:
                    answer = await once(address, key, "/items")
                else:
                    if connection.closed_by_server if connection.usable else True:
                        connection.close()
                        await connection.open()
                    answer = await connection.request("/items")
            except BrokenAnswerError:
                seen.broken += 1
                continue
            if answer.status == 200:
                seen.good += 1
                seen.last_good = time.monotonic()
            else:
                seen.others[answer.status] = seen.others.get(answer.status, 0) + 1
    finally:
        connection.close()


async def lifetime(scene: Stage, database: Any, number: int, limit: float) -> tuple[float, Seen]:
    """Seconds that one key outlived its revocation, at the most `limit` plus a little."""
    key_id, key = await scene.mint(database, f"key {number}")
    seen, now = Seen(), time.monotonic()
    callers = [
        asyncio.create_task(caller(scene.address, key, seen, now + index / RATE, keeps=index % 2 == 0))
        for index in range(CALLERS)
    ]
    try:
        await asyncio.sleep(WARM_SECONDS)
        seen.others.clear()
        revoked = time.monotonic()
        await database.execute(REVOKE, key_id)
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            if now - max(seen.last_good, revoked) > QUIET_SECONDS or now - revoked > limit + 1:
                break
    finally:
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    return max(0.0, seen.last_good - revoked), seen


async def drill(scene: Stage, way: str, count: int, fault: Callable[[], AbstractAsyncContextManager[None]]) -> Outcome:
    """Revoke `count` keys, one after the other, while the fault lasts."""
    promise, lives, broken = PROMISE_SECONDS[way], [], []
    database = await scene.connect()
    good = 0
    try:
        async with fault():
            for number in range(count):
                seconds, seen = await lifetime(scene, database, number, promise)
                lives.append(seconds)
                good += seen.good
                if not seen.good:
                    broken.append(f"key {number} was never served: {seen.others}, {seen.broken} broken")
                if set(seen.others) - {401}:
                    broken.append(f"key {number} was refused with {seen.others}")
    finally:
        await database.close()
    lives.sort()
    if lives[-1] >= promise:
        broken.append(f"a key lived {lives[-1]:.3f} s after it was revoked; the promise is {promise:.0f} s")
    figures = [median(lives), lives[int(len(lives) * 0.95)], lives[-1]]
    line = (way, str(count), str(good), *(f"{figure * 1000:.0f}" for figure in figures), f"{promise * 1000:.0f}")
    head = ("way", "keys", "200s in all", "p50 ms", "p95 ms", "max ms", "promise ms")
    return Outcome("revoke: from before the commit to the last 2xx", head, [line], broken)


@asynccontextmanager
async def no_fault() -> AsyncIterator[None]:
    """Nothing is wrong."""
    yield


@asynccontextmanager
async def listeners_ended(scene: Stage) -> AsyncIterator[None]:
    """The database ends every listener's connection, 20 times a second."""
    database = await scene.connect()

    async def end_them() -> None:
        while True:
            await database.execute(END_LISTENERS)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(end_them())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await database.close()


@asynccontextmanager
async def silence(proxy: NotificationCut) -> AsyncIterator[None]:
    """Nothing arrives on a listener's connection."""
    proxy.silent = True
    try:
        yield
    finally:
        proxy.silent = False


async def all_ways(made: Installation, count: int, cut_count: int) -> list[Outcome]:
    """Each way on its own gateway process."""
    parts = urlsplit(made.databases.database_url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 5432
    outcomes = []
    async with NotificationCut(host, port) as proxy:
        through = parts._replace(netloc=parts.netloc.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")).geturl()
        manager = stage(made, through)
        scene = await asyncio.to_thread(manager.__enter__)
        try:
            outcomes.append(await drill(scene, "notified", count, no_fault))
            outcomes.append(await drill(scene, "terminated", cut_count, lambda: listeners_ended(scene)))
            outcomes.append(await drill(scene, "silent", cut_count, lambda: silence(proxy)))
            if not proxy.listeners:
                outcomes[-1].broken.append("no listener was seen on the way to the database: nothing was cut")
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)
    return outcomes


def main() -> int:
    """See the module."""
    parser = arguments("revoke", __doc__ or "")
    parser.add_argument("--count", type=int, default=50, help="keys with notifications (default 50)")
    parser.add_argument("--cut-count", type=int, help="keys for each of the two cuts (default: as --count)")
    options = parser.parse_args()
    cut_count = options.count if options.cut_count is None else options.cut_count
    with installation() as made:
        return tell(asyncio.run(all_ways(made, options.count, cut_count)), options)


if __name__ == "__main__":
    sys.exit(main())

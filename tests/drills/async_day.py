"""`python -m tests.drills.async_day`: five stories of a dear, slow operation, with the customer's credits before and after.

A job is done, one fails, one takes too long, one is told of twice, one is told of by somebody who forged the signature. A
real gateway, a dispatcher in a process of its own, a real upstream on a socket that signs with the PyPI package
`standardwebhooks`. In the end the ledger is compared with what it is made of.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cli.supervisor.services import EmbeddedServices
from domain.migrating import migrate
from tests.async_jobs import Customer, JobShop, behind, dispatching, job_shop
from tests.deadlines import until
from tests.drills.outcome import Outcome, arguments, tell

STRANGER = "whsec_" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
HEAD = ("story", "asked", "callbacks answered", "the job", "balance, reserved, used: before", "with the job", "after")

Tell = Callable[[JobShop, Customer, str], Awaitable[list[int]]]


async def is_done(shop: JobShop, customer: Customer, job_id: str) -> list[int]:
    """Progress, then a result."""
    del customer
    told = [await shop.call_back(job_id, status="processing", progress=50)]
    return [answer.status for answer in (*told, await shop.call_back(job_id, status="completed", result={"pages": 3}))]


async def fails(shop: JobShop, customer: Customer, job_id: str) -> list[int]:
    """The upstream gives it up."""
    del customer
    return [(await shop.call_back(job_id, status="failed", error="no paper")).status]


async def takes_too_long(shop: JobShop, customer: Customer, job_id: str) -> list[int]:
    """Nobody says anything until it is overdue; then the result comes."""
    await customer.until(job_id, "failed", 30)
    return [(await shop.call_back(job_id, status="completed", result=1)).status]


async def is_told_twice(shop: JobShop, customer: Customer, job_id: str) -> list[int]:
    """The same callback again, and then another end."""
    del customer
    said: dict[str, Any] = {"status": "completed", "result": 1}
    told = [await shop.call_back(job_id, said, message_id="msg_same") for _ in range(2)]
    return [answer.status for answer in (*told, await shop.call_back(job_id, status="failed"))]


async def is_forged(shop: JobShop, customer: Customer, job_id: str) -> list[int]:
    """Without a signature, with a stranger's, and an old one; then it fails, by the upstream's own word."""
    del customer
    told = [
        await shop.call_back(job_id, status="completed", secret=""),
        await shop.call_back(job_id, status="completed", secret=STRANGER),
        await shop.call_back(job_id, status="completed", age_seconds=3_600),
        await shop.call_back(job_id, status="failed", error="the end of this story"),
    ]
    return [answer.status for answer in told]


STORIES: tuple[tuple[str, Tell, list[int], str, tuple[int, int, int]], ...] = (
    ("it is done", is_done, [200, 200], "completed", (95, 0, 5)),
    ("it fails", fails, [200], "failed: upstream_failed", (100, 0, 0)),
    ("it takes too long", takes_too_long, [409], "failed: overdue", (100, 0, 0)),
    ("it is told twice", is_told_twice, [200, 200, 409], "completed", (95, 0, 5)),
    ("it is forged", is_forged, [401, 401, 401, 200], "failed: upstream_failed", (100, 0, 0)),
)


async def play(shop: JobShop) -> Outcome:
    """The five stories, each of a customer of its own with 100 credits; a job costs 5."""
    outcome = Outcome("Asynchronous operations: a job costs 5 credits if it is completed", HEAD, [], [])
    for title, story, wanted, end, money in STORIES:
        customer = await shop.customer()
        before = await customer.money()
        slow = story is takes_too_long
        if slow:
            await _seconds(shop, 2)
        answer = await customer.ask(customer.target("job"), method="POST", body=b'{"report": "year"}')
        if slow:
            await _seconds(shop, 3_600)
        job_id = str(json.loads(answer.body)["id"])
        during = await customer.money()
        await until(lambda customer=customer: shop.sent(behind(customer.target("job"))), 30, "the job at the upstream")
        answered = await story(shop, customer, job_id)
        job, after = await customer.job(job_id), await customer.money()
        found = job["status"] + (f": {job['reason']}" if job["reason"] else "")
        outcome.lines.append(
            (title, str(answer.status), " ".join(map(str, answered)), found, *map(str, (before, during, after)))
        )
        if (answer.status, answered, found, before, during, after) != (
            202, wanted, end, (100, 0, 0), (100, 5, 0), money,
        ):  # fmt: skip
            outcome.broken.append(f"{title}: expected {wanted}, {end}, {money}")
    drifts = await shop.drifts()
    outcome.lines.append(("the ledger is compared", "", "", f"{len(drifts)} drifts", "", "", ""))
    outcome.broken += [f"{drift.what}: {drift.expected} is {drift.found}" for drift in drifts]
    return outcome


async def _seconds(shop: JobShop, seconds: int) -> None:
    """How long jobs of the service may take from now on; the gateway hears of it in less than a second."""
    await shop.pool.execute("update service set job_timeout_seconds = $1 where slug = 'work'", seconds)
    await asyncio.sleep(1.0)


async def main() -> int:
    """Set up, play, tell; the exit status."""
    options = arguments("async_day", (__doc__ or "").partition("\n")[0]).parse_args()
    with (
        TemporaryDirectory(prefix="paid-endpoint-async-day-") as folder,
        EmbeddedServices(Path(folder) / "data") as servers,
    ):
        await migrate(servers.database_url)
        async with job_shop(servers.database_url, servers.redis_url) as shop:
            with dispatching(shop):
                return tell([await play(shop)], options)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

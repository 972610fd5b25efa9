"""A worker that spends some permits, holds more, and waits to be killed: `python -m ... REDIS_URL ORG PLAN LIMIT AMOUNT BOOKS`.

Prints how many it has spent and how many it holds.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings
from domain.snapshots import LimitSnapshot, PlanSnapshot
from tests.limits import consume
from tests.snapshots import key


async def main(url: str, organization: str, plan_id: str, limit_id: str, amount: str, books: str) -> None:
    limiter = Limiter(RedisSettings(url=url, timeout_ms=5_000), workers=1, books=Path(books))
    await limiter.start()
    limits = (LimitSnapshot(UUID(limit_id), "month", int(amount), "month", "organization", shadow=False),)
    plan, caller = PlanSnapshot(UUID(plan_id), "p", "P", 1, limits), key(UUID(organization))
    for _ in range(4):
        assert (await consume(limiter, caller, plan)).allowed
    print(4, limiter.bucket(caller, plan).allowances[0].left, flush=True)
    # A busy worker: what it holds is not returned for idleness before it is killed.
    limiter.upkeep.turn = lambda: None
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

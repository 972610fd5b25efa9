"""A process of its own that consumes as fast as it can: `python -m ... REDIS_URL ORGANIZATION PLAN LIMIT AMOUNT TIMES`.

Prints how many were admitted.
"""

import asyncio
import sys
from uuid import UUID

from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings
from domain.snapshots import LimitSnapshot, PlanSnapshot
from tests.limits import consume
from tests.snapshots import key


async def main(url: str, organization: str, plan_id: str, limit_id: str, amount: str, times: str) -> None:
    # The budget is out of reach: this is about what Redis decides, on a machine that other tests keep busy.
    limiter = Limiter(RedisSettings(url=url, timeout_ms=5_000), workers=4)
    await limiter.start()
    limits = (LimitSnapshot(UUID(limit_id), "month", int(amount), "month", "organization", shadow=False),)
    plan, caller = PlanSnapshot(UUID(plan_id), "p", "P", 1, limits), key(UUID(organization))
    verdicts = await asyncio.gather(*(consume(limiter, caller, plan) for _ in range(int(times))))
    assert {verdict.source for verdict in verdicts} == {"redis"}
    print(sum(verdict.allowed for verdict in verdicts))
    await limiter.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

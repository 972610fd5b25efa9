"""After Redis has lost its memory: what the usage rollups say of a day or a month, so that a spent quota stays spent."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import time
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.quotas.allowance import Allowance
from domain.quotas.costs import REQUESTS

_NOTHING: Mapping[UUID, int] = MappingProxyType({})


class Question(NamedTuple):
    """What was used since then: requests that were admitted, the units that they took, or micro-credits charged for them.

    What ends after `until` is not asked for: live workers tell of it themselves.

    A None dimension means all of it. `unit` is that of the limit; `quota_costs` and `prices` are the plan's, by operation,
    where they are not the operation's own.
    """

    organization_id: UUID
    key_id: UUID | None
    service_id: UUID | None
    operation_id: UUID | None
    since: datetime
    until: datetime | None = None
    unit: str = REQUESTS
    quota_costs: Mapping[UUID, int] = _NOTHING
    prices: Mapping[UUID, int] = _NOTHING


UsedSince = Callable[[Question], Awaitable[int | None]]
"""None: it can't be read now. It need not be up to date to the second: live workers tell what they spent last."""


async def read_refill(allowance: Allowance, start: int, used: UsedSince) -> int | None:
    """What was used of the window that began at `start` (Unix seconds); None if the rollups can't be read."""
    limit, plan = allowance.limit, allowance.plan
    since, now = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(time(), UTC)
    key_id = allowance.key_id if limit.scope == "key" else None
    where = allowance.account.organization_id, key_id, limit.service_id, limit.operation_id
    return await used(Question(*where, since, now, limit.unit, plan.quota_costs, plan.prices))

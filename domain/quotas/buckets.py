"""The buckets of one worker: found by key, and where limits or weights hang on it, by the operation that is called."""

from collections.abc import Callable
from uuid import UUID

from domain.quotas.account import Account
from domain.quotas.bucket import Bucket
from domain.quotas.costs import CREDITS, ONE, Cost, counting, weighed, weight_of
from domain.quotas.weighted import WeightedBucket
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot

_MOST_KEYS = 20_000
"""Whose buckets are held; with four limits for each key they take 80 MB, whether or not their allowances are in use."""

_Which = tuple[UUID | None, UUID | None, Cost, Cost | None]


class _Known:
    """The buckets of one key: the one for all its requests, or one for each operation and cost that it has called.

    It keeps the key's snapshot, by whose id it is found, alive.
    """

    __slots__ = ("bucket", "key", "narrow", "narrowed", "plan")

    def __init__(self, key: KeySnapshot, plan: PlanSnapshot) -> None:
        self.key, self.plan = key, plan
        self.narrow = any(limit.service_id is not None or limit.operation_id is not None for limit in plan.limits)
        self.bucket: Bucket | None = None
        self.narrowed: dict[_Which, Bucket] = {}


class Buckets:
    """`account` makes or finds the one account of an organization."""

    def __init__(self, account: Callable[[UUID], Account]) -> None:
        self._account = account
        self._known: dict[int, _Known] = {}

    def find(
        self,
        key: KeySnapshot,
        plan: PlanSnapshot,
        service_id: UUID | None = None,
        operation_id: UUID | None = None,
        cost: Cost = ONE,
        beyond: Cost | None = None,
    ) -> Bucket:
        """The limits that a key's request to a service's operation must fit into, with what it takes of them."""
        known = self._known.get(id(key))
        if known is None or known.plan is not plan:
            known = self._remember(key, plan)
        if known.bucket is not None:
            return known.bucket
        which = (service_id, operation_id, cost, beyond) if known.narrow else (None, None, cost, beyond)
        bucket = known.narrowed.get(which)
        if bucket is None:
            limits = counting(key, plan, service_id, operation_id, cost)
            bucket = known.narrowed[which] = self._made(key, plan, limits, cost)
            if beyond is not None:
                bucket.beyond = self.find(key, plan, service_id, operation_id, beyond)
        return bucket

    def _remember(self, key: KeySnapshot, plan: PlanSnapshot) -> _Known:
        if len(self._known) >= _MOST_KEYS:
            for old in list(self._known)[: _MOST_KEYS // 2]:
                del self._known[old]
        known = self._known[id(key)] = _Known(key, plan)
        if not known.narrow and not weighed(key, plan):
            known.bucket = self._made(key, plan, counting(key, plan, None, None, ONE), ONE)
        return known

    def _made(self, key: KeySnapshot, plan: PlanSnapshot, limits: tuple[LimitSnapshot, ...], cost: Cost) -> Bucket:
        account = self._account(key.organization_id)
        weights = tuple(weight_of(limit, cost) for limit in limits)
        if any(weight != 1 for weight in weights) or any(limit.unit == CREDITS for limit in limits):
            return WeightedBucket(key, plan, limits, account, weights)
        return Bucket(key, plan, limits, account)

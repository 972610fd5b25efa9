"""One organization under one set of terms: asked request by request, in the order of time, it admits or refuses.

What a request takes, and of which limits, is said by `domain.quotas.costs` as in the gateway: all or nothing, a refused
one takes nothing; when only quotas refuse and the plan goes on with credits, it takes from the rest and is paid.
"""

from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

from domain.prices import price_micro
from domain.quotas.costs import CREDITS, QUOTA, Cost, costs_of, counting, weight_of
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot, ServiceSnapshot
from domain.what_if.counters import Counter, counter_of
from domain.what_if.pricing import Asked, Offers, Price, operation_of
from domain.what_if.purses import Purse

OUT_OF_CREDITS = "credits"
"""Refuses like a limit, and is named like one where refusals are told."""

Opening = Callable[[LimitSnapshot, UUID | None, PlanSnapshot], tuple[int, int]]
"""What was taken of a month's window before the first request: a microsecond in it, and permits."""


class _Gate:
    """Everything that a request of one key to one operation must pass. Weights of spend caps are its price."""

    __slots__ = ("beyond", "caps", "enforced", "price", "shadows", "takes_units")

    def __init__(self, price: Price, *, paid: bool) -> None:
        self.enforced: list[tuple[Counter, int, LimitSnapshot]] = []
        self.shadows: list[tuple[Counter, int, LimitSnapshot]] = []
        self.caps: list[tuple[Counter, int, LimitSnapshot]] = []
        self.price: Price | None = price if paid and price.cap else None
        self.beyond: _Gate | None = None
        self.takes_units = False


class Side:
    """`organization` is a key without anything of its own; `own_caps` the spend caps of keys that have some of their own.

    `refused` counts requests, `refused_by` names of limits (one request may be refused by several), `over` what shadow
    limits would have refused. `busiest` and `first` are of each name: the window with the most refusals, and the first.
    """

    def __init__(
        self,
        organization: KeySnapshot,
        plan: PlanSnapshot,
        services: Mapping[UUID, ServiceSnapshot],
        offers: Offers,
        purse: Purse,
        *,
        usual: PlanSnapshot | None = None,
        usual_offers: Offers | None = None,
        own_caps: Mapping[UUID, tuple[LimitSnapshot, ...]] | None = None,
        opening: Opening | None = None,
    ) -> None:
        self._organization, self._plan, self._services, self._offers = organization, plan, services, offers
        self._usual, self._usual_offers = usual or plan, usual_offers or offers
        self._own_caps, self._opening = own_caps or {}, opening
        self.purse = purse
        self._gates: dict[tuple[UUID, UUID, UUID | None], _Gate] = {}
        self._counters: dict[tuple[UUID, UUID | None], Counter] = {}
        self._windows: dict[str, tuple[int, int]] = {}
        self.admitted = self.refused = 0
        self.refused_by: Tally[str] = Tally()
        self.over: Tally[str] = Tally()
        self.first: dict[str, int] = {}
        self.busiest: dict[str, tuple[int, int]] = {}
        self.last_refused_by: tuple[str, ...] = ()

    def ask(self, asked: Asked) -> bool:
        """Whether the request is admitted; then it has taken and cost what it would."""
        which = asked.key_id, asked.service_id, asked.operation_id
        gate = self._gates.get(which) or self._gate(which)
        at = asked.begun_us
        violated = _violated(gate, at)
        if violated and gate.beyond is not None and any(limit.unit == QUOTA for _, limit in violated):
            gate = gate.beyond
            violated = _violated(gate, at)
        if violated:
            self._refuse(at, [(limit.name, counter.begun(at)) for counter, limit in violated])
            return False
        cost = 0
        if gate.price is not None:
            due = gate.price.due(asked)
            if due and not self.purse.has(at, due):
                self._refuse(at, [(OUT_OF_CREDITS, at - at % 3_600_000_000)])
                return False
            cost = gate.price.cost(asked)
            self.purse.pay(cost)
        self._take(gate, asked, cost)
        return True

    def _take(self, gate: _Gate, asked: Asked, cost: int) -> None:
        at, ends = asked.begun_us, asked.begun_us + asked.total_us
        self.admitted += 1
        # The answer to a repeat under an idempotency key: it came from no upstream, and gives its units back.
        repeated = gate.takes_units and asked.outcome == "served" and not asked.sent
        for counter, weight, limit in gate.enforced:
            if not (repeated and limit.unit == QUOTA):
                counter.take(at, ends, weight)
        if cost:
            for counter, _, _ in gate.caps:
                counter.take(at, ends, cost)
        for counter, weight, limit in gate.shadows:
            left = counter.left(at)
            if not (repeated and limit.unit == QUOTA):
                counter.take(at, ends, weight)
            if left < weight:
                self.over[limit.name] += 1

    def _refuse(self, at: int, by: list[tuple[str, int]]) -> None:
        self.refused += 1
        self.last_refused_by = tuple(name for name, _ in by)
        for name, window in by:
            self.refused_by[name] += 1
            self.first.setdefault(name, at)
            begun, number = self._windows.get(name, (window, 0))
            number = number + 1 if begun == window else 1
            self._windows[name] = window, number
            if number > self.busiest.get(name, (0, 0))[1]:
                self.busiest[name] = window, number

    def _gate(self, which: tuple[UUID, UUID, UUID | None]) -> _Gate:
        key_id, service_id, operation_id = which
        service, operation = self._services.get(service_id), operation_of(self._offers, operation_id)
        key = replace(self._organization, id=key_id)
        if key_id in self._own_caps:
            key = replace(key, spend_caps=self._own_caps[key_id])
        usual = price_micro(self._usual, operation_of(self._usual_offers, operation_id))
        price = Price(service or _GONE, operation, self._plan, usual)
        cost, beyond = costs_of(key, self._plan, operation)
        made = self._passes(_Gate(price, paid=key.billing_mode != QUOTA), key, which, cost)
        if beyond is not None:
            made.beyond = self._passes(_Gate(price, paid=True), key, which, beyond)
        self._gates[which] = made
        return made

    def _passes(self, gate: _Gate, key: KeySnapshot, which: tuple[UUID, UUID, UUID | None], cost: Cost) -> _Gate:
        for limit in counting(key, self._plan, which[1], which[2], cost):
            weight = weight_of(limit, cost)
            if not weight:
                continue
            counter = self._counter(limit, key.id)
            if limit.shadow:
                gate.shadows.append((counter, weight, limit))
            elif limit.unit == CREDITS:
                gate.caps.append((counter, weight, limit))
            else:
                gate.enforced.append((counter, weight, limit))
            gate.takes_units = gate.takes_units or limit.unit == QUOTA
        return gate

    def _counter(self, limit: LimitSnapshot, key_id: UUID) -> Counter:
        owner = key_id if limit.scope == "key" else None
        known = self._counters.get((limit.id, owner))
        if known is None:
            at, used = 0, 0
            if self._opening is not None and limit.period == "month":
                at, used = self._opening(limit, owner, self._plan)
            known = counter_of(limit, self._organization.month_anchor, at, used)
            self._counters[limit.id, owner] = known
        return known


def _violated(gate: _Gate, at: int) -> list[tuple[Counter, LimitSnapshot]] | None:
    found = None
    for counter, weight, limit in gate.enforced:
        if counter.left(at) < weight:
            found = found or []
            found.append((counter, limit))
    for counter, weight, limit in gate.caps:
        if counter.left(at) < weight:
            found = found or []
            found.append((counter, limit))
    return found


_GONE = ServiceSnapshot(
    UUID(int=0), "", "", enabled=False, coming_soon=False, minimum_plan_id=None, route_prefix=b"\0", keep_prefix=False,
    upstreams=(), charge_on="success", connect_timeout=0, first_byte_timeout=0, idle_timeout=0, total_timeout=0,
    max_connections=0, max_body_bytes=0, cors_origins=frozenset(),
)  # fmt: skip
"""Stands for a service that is not there any more: nothing of it has a price."""

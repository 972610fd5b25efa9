"""What the lease protocol promises, judged from the log of admissions alone. Knows nothing of how it is done.

A fixed window is counted by the `limits` library's memory storage, a rolling one by an exact list of moments. An
admission is held against a window only if it certainly lay in it, whenever between `began` and `ended` it was.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from limits.storage import MemoryStorage

from domain.quotas.costs import CREDITS, QUOTA, weight_of
from domain.quotas.periods import month_bounds
from domain.snapshots import KeySnapshot, LimitSnapshot
from tests.leases.admissions import ADMITTED, DONE, UNCHARGED, Admission
from tests.leases.history import History
from tests.leases.worker import Target

ROLLING = {"second": (1.0, 0.1), "minute": (60.0, 3.0)}
"""Length of a rolling window and of its slots, in seconds, as documented."""
LENGTHS = {"hour": 3_600, "day": 86_400}
FOREVER = 10**10

Owner = tuple[UUID, UUID, UUID | None]
"""A limit, the organization, and its key if each key has its own window."""


def owners(targets: Sequence[Target]) -> dict[Owner, tuple[LimitSnapshot, KeySnapshot, set[int]]]:
    """Every window of every plan that is asked, with the targets that count in it."""
    found: dict[Owner, tuple[LimitSnapshot, KeySnapshot, set[int]]] = {}
    for number, (key, plan, service_id, operation_id, _) in enumerate(targets):
        for limit in (*plan.limits, *key.spend_caps):
            if applies(limit, service_id, operation_id) and (limit.unit != QUOTA or key.billing_mode == QUOTA):
                owner = limit.id, key.organization_id, key.id if limit.scope == "key" else None
                found.setdefault(owner, (limit, key, set()))[2].add(number)
    return found


def applies(limit: LimitSnapshot, service_id: UUID | None, operation_id: UUID | None) -> bool:
    """Whether a request for this operation of this service counts in the limit."""
    return limit.service_id in (None, service_id) and limit.operation_id in (None, operation_id)


def weights(limit: LimitSnapshot, targets: Sequence[Target]) -> list[int]:
    """What a request for each target takes of a limit that counts it."""
    return [weight_of(limit, target.cost) if limit.period != "concurrent" else 1 for target in targets]


def charged(limit: LimitSnapshot, entries: Iterable[Admission]) -> list[Admission]:
    """The admissions among them that the limit counts for good: spend caps have no others than those that were charged."""
    entries = list(entries)
    free = {(e.worker, e.number) for e in entries if e.kind == UNCHARGED and limit.unit == CREDITS}
    return [e for e in entries if e.kind == ADMITTED and (e.worker, e.number) not in free]


def window(limit: LimitSnapshot, key: KeySnapshot, server_time: float) -> tuple[int, int]:
    """Begin and end of the fixed window at a time of the server."""
    if limit.period == "month":
        return month_bounds(key.period_start, server_time)[1:3]
    length = LENGTHS[limit.period]
    begin = int(server_time // length) * length
    return begin, begin + length


def breaches(targets: Sequence[Target], log: Iterable[Admission], history: History) -> list[str]:
    """Every promise that was broken, in words; empty if none."""
    entries, found = list(log), []
    for limit, key, numbers in owners(targets).values():
        if limit.shadow:
            continue
        mine = [entry for entry in entries if entry.bucket in numbers]
        takes = weights(limit, targets)
        admitted = charged(limit, mine)
        if limit.period == "concurrent":
            found += _in_progress(limit, mine, history)
        elif limit.period in ROLLING:
            found += _rolling(limit, admitted, history)
        elif history.steps:
            found += _fixed_with_steps(limit, key, admitted, history, takes)
        else:
            found += _fixed(limit, key, admitted, history, takes)
    return found


def _fixed(
    limit: LimitSnapshot, key: KeySnapshot, admitted: list[Admission], history: History, takes: list[int]
) -> list[str]:
    storage, found = MemoryStorage(), []
    for entry in admitted:
        begin, end = window(limit, key, entry.began + entry.step)
        if entry.ended + entry.step >= end:
            continue
        count = storage.incr(f"{limit.id}:{begin}", FOREVER, takes[entry.bucket])
        slack = history.slack(limit.amount, begin - entry.step, end - entry.step, 1, max(takes))
        if count > limit.amount + slack:
            found.append(f"{limit.name}: {count} of {limit.amount} (+{slack}) in the window from {begin}")
    return found


def _fixed_with_steps(
    limit: LimitSnapshot, key: KeySnapshot, admitted: list[Admission], history: History, takes: list[int]
) -> list[str]:
    """A clock that steps leaves one promise: no window is opened twice, so all together admit no more than they have."""
    begins: set[int] = set()
    for begin, end in history.visited():
        moment = begin
        while moment <= end:
            first, moment = window(limit, key, moment)
            begins.add(first)
    most = len(begins) * limit.amount + history.slack(limit.amount, 0, FOREVER, len(begins), max(takes))
    count = sum(takes[entry.bucket] for entry in admitted)
    return [f"{limit.name}: {count} in {len(begins)} windows of {limit.amount}"] if count > most else []


def _rolling(limit: LimitSnapshot, admitted: list[Admission], history: History) -> list[str]:
    """By a clock that follows the server's forward and never goes back.

    When that is set forward, permits of the slot before may still be spent: the amount once more.
    """
    length, slot = ROLLING[limit.period]
    times = sorted((e.began + history.forward(e.began), e.ended + history.forward(e.ended), e.began) for e in admitted)
    found = []
    for first, (begin, _, world) in enumerate(times):
        inside = 0
        for began, ended, _ in times[first:]:
            if began >= begin + length:
                break
            inside += ended < begin + length
        if inside <= limit.amount:
            continue
        slack = history.slack(limit.amount, world - slot, world + length, 2)
        slack += limit.amount if history.stepped_within(world - slot, world + length) else 0
        if inside > limit.amount + slack:
            found.append(f"{limit.name}: {inside} of {limit.amount} (+{slack}) in the {length:.0f} s from {begin:.3f}")
    return found


def _in_progress(limit: LimitSnapshot, mine: list[Admission], history: History) -> list[str]:
    """A request is certainly in progress from when its admission is known until it is about to end, or its worker dies."""
    ends = {(entry.worker, entry.number): entry.began for entry in mine if entry.kind == DONE}
    changes = []
    for entry in mine:
        if entry.kind != ADMITTED:
            continue
        death = min((at for at, worker in history.deaths if worker == entry.worker), default=FOREVER)
        end = min(ends.get((entry.worker, entry.number), FOREVER), death)
        changes += [(entry.ended, 1), (end, -1)] if end > entry.ended else []
    most = progress = 0
    for _, change in sorted(changes):
        progress += change
        most = max(most, progress)
    slack = history.slack(limit.amount, 0, FOREVER, 1)
    return [f"{limit.name}: {most} of {limit.amount} (+{slack}) at once"] if most > limit.amount + slack else []

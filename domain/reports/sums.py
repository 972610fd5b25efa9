"""Sums of usage over a window: of everybody or of one organization, by time, service and operation, from `usage_summary`."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.histogram import BUCKETS
from domain.ingesting.grains import EVERY
from domain.reports.shapes import ReportChoice

FIGURES = """sum(requests)::bigint as requests, sum(errors)::bigint as errors, sum(refused)::bigint as refused,
    coalesce(sum(requests - refused) filter (where status_class = 4), 0)::bigint as client_errors,
    sum(total_us_sum)::bigint as total_us, sum(cost_micro)::bigint as cost_micro"""
_OF = f"organization_id = $1 and key_id = '{EVERY}' and grain = $2 and bucket >= $3 and bucket < $4"
# Written out, so that the index of what belongs to everybody is used; $1 alone does not say so.
_EVERYBODY = (
    f"organization_id = '{EVERY}' and $1 = '{EVERY}'::uuid and key_id = '{EVERY}' and grain = $2"
    " and bucket >= $3 and bucket < $4"
)
_BY_TIME = f"""
select date_trunc($7, bucket, 'UTC') as bucket, {FIGURES} from usage_summary
 where {{of}} and service_id = $5 and operation_id = $6 group by 1
"""
_LATENCY_BY_TIME = """
select date_trunc($7, bucket, 'UTC') as bucket, u.place::int as place, sum(u.n)::bigint as n
  from usage_summary, unnest(latency) with ordinality as u (n, place)
 where {of} and service_id = $5 and operation_id = $6 and u.n > 0 group by 1, 2
"""
_BY_SERVICE = f"""
select service_id, '{EVERY}'::uuid as operation_id, {FIGURES} from usage_summary
 where {{of}} and operation_id = '{EVERY}' and service_id <> '{EVERY}' and ($5::uuid is null or service_id = $5)
 group by service_id order by {{order}}, service_id limit $6
"""
_BY_OPERATION = f"""
select service_id, operation_id, {FIGURES} from usage_summary
 where {{of}} and operation_id <> '{EVERY}' and ($5::uuid is null or service_id = $5)
   and ($7::uuid is null or operation_id = $7)
 group by service_id, operation_id having {{having}} order by {{order}}, service_id, operation_id limit $6
"""
# An index range for each pair: without the `offset` PostgreSQL may read all of them at once.
_LATENCIES = f"""
select p.service_id, p.operation_id, u.place::int as place, sum(u.n)::bigint as n
  from unnest($5::uuid[], $6::uuid[]) as p (service_id, operation_id) cross join lateral (
       select latency from usage_summary where {_OF} and service_id = p.service_id and operation_id = p.operation_id offset 0) as r,
       unnest(r.latency) with ordinality as u (n, place)
 where u.n > 0 group by 1, 2, 3
"""

Pair = tuple[UUID, UUID]
"""A service and an operation, EVERY for all of them, the zero UUID for none."""


def owner(choice: ReportChoice) -> UUID:
    """Whose sums: the organization's, or those of everybody."""
    return choice.organization.id or EVERY if choice.organization else EVERY


def _of(choice: ReportChoice) -> str:
    return _EVERYBODY if owner(choice) == EVERY else _OF


def grain_of(choice: ReportChoice) -> str:
    """Of which grain sums are read."""
    return grain_of_one(choice) if choice.organization else choice.window.grain


def grain_of_one(choice: ReportChoice) -> str:
    """Of which grain those of one organization are read: it has no sums of weeks, but few of days."""
    return "day" if choice.window.grain == "week" else choice.window.grain


def _bounds(choice: ReportChoice) -> tuple[Any, ...]:
    return owner(choice), grain_of(choice), choice.window.since, choice.window.until


async def by_time(connection: Any, choice: ReportChoice, pair: Pair = (EVERY, EVERY)) -> dict[datetime, Any]:
    """Figures of each hour, day or week that has any."""
    rows = await connection.fetch(_BY_TIME.format(of=_of(choice)), *_bounds(choice), *pair, choice.window.grain)
    return {row["bucket"]: row for row in rows}


async def latency_by_time(
    connection: Any, choice: ReportChoice, pair: Pair = (EVERY, EVERY)
) -> dict[datetime, list[int]]:
    """Histograms of each hour, day or week that has any."""
    rows = await connection.fetch(_LATENCY_BY_TIME.format(of=_of(choice)), *_bounds(choice), *pair, choice.window.grain)
    found: dict[datetime, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    for bucket, place, n in rows:
        found[bucket][place - 1] += n
    return found


async def by_service(connection: Any, choice: ReportChoice, most: int, order: str = "requests desc") -> list[Any]:
    """Figures of each service; `order` is SQL of ours."""
    service = choice.service.id if choice.service else None
    statement = _BY_SERVICE.format(of=_of(choice), order=order)
    return list(await connection.fetch(statement, *_bounds(choice), service, most))


async def by_operation(
    connection: Any, choice: ReportChoice, most: int, order: str = "requests desc", having: str = "true"
) -> list[Any]:
    """Figures of each operation; `order` and `having` are SQL of ours."""
    service = choice.service.id if choice.service else None
    operation = choice.operation.id if choice.operation else None
    statement = _BY_OPERATION.format(of=_of(choice), order=order, having=having)
    return list(await connection.fetch(statement, *_bounds(choice), service, most, operation))


async def latencies(connection: Any, choice: ReportChoice, pairs: Sequence[Pair]) -> dict[Pair, list[int]]:
    """Histograms over the whole window."""
    found: dict[Pair, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    services, operations = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for service, operation, place, n in await connection.fetch(_LATENCIES, *_bounds(choice), services, operations):
        found[service, operation][place - 1] += n
    return found


def pair_of(choice: ReportChoice) -> Pair:
    """The sums of what the choice restricts to."""
    operation = choice.operation.id if choice.operation else None
    service = choice.service.id if choice.service else None
    return service or EVERY, operation or EVERY

"""What was refused and why, from `refusal_summary`: by operation and reason."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from domain.ingesting.refusals import SHADOW
from domain.reports import sums
from domain.reports.shapes import Chart, Column, Fact, Line, Report, ReportChoice
from domain.reports.windows import floor
from domain.reports.words import id_text, log_filters, percent, read_names, up_to

_OF = f"""organization_id = $1 and grain = $2 and bucket >= $3 and bucket < $4 and refusal <> '{SHADOW}'
   and ($5::uuid is null or service_id = $5) and ($6::uuid is null or operation_id = $6)"""
# Read once, told twice: by reason, and by time.
_SUMS = f"""
with sums as materialized (
    select service_id, operation_id, refusal, limit_name, bucket, sum(requests)::bigint as requests from refusal_summary
     where {_OF} group by grouping sets ((service_id, operation_id, refusal, limit_name), (bucket))
)
(select service_id, operation_id, refusal, limit_name, null::timestamptz as bucket, requests from sums
  where refusal is not null order by requests desc, 1, 2, 3, 4 limit $7)
union all
select null, null, null, null, bucket, requests from sums where refusal is null and bucket is not null
"""
_COLUMNS = (
    Column("operation", "Operation", "operation"),
    Column("service", "Service", "service"),
    Column("reason", "Reason", "text"),
    Column("limit", "Limit", "text"),
    Column("refused", "Refused", "count"),
    Column("share", "Of all refusals", "percent"),
)


async def most_refused(connection: Any, choice: ReportChoice) -> Report:
    """By operation, reason and limit, most first."""
    service = choice.service.id if choice.service else None
    operation = choice.operation.id if choice.operation else None
    window = choice.window
    bounds = (sums.owner(choice), sums.grain_of(choice), window.since, window.until, service, operation)
    sums_found = await connection.fetch(_SUMS, *bounds, choice.limit + 1)
    found = [row for row in sums_found if row["bucket"] is None]
    by_time: dict[datetime, int] = defaultdict(int)
    for row in sums_found:
        if row["bucket"] is not None:
            by_time[floor(row["bucket"], window.grain)] += row["requests"]
    total = sum(by_time.values())
    names = await read_names(connection, (row[name] for row in found for name in ("service_id", "operation_id")))
    rows, filters = [], []
    for row in found[: choice.limit]:
        of_service, of_operation = names.of("service", row["service_id"]), names.of("operation", row["operation_id"])
        share = percent(row["requests"], total)
        rows.append((of_operation, of_service, row["refusal"], row["limit_name"] or None, row["requests"], share))
        filters.append(
            log_filters(
                choice, service=of_service.detail, operation=id_text(of_operation), refusal=row["refusal"],
            )
        )  # fmt: skip
    return Report(
        slug="most-refused",
        title="Most refused operations",
        sentence="Requests that the gateway refused itself, by the code of the refusal and the limit that had no room, from"
        f" sums that began with this version, {window.words}. {await up_to(connection, choice)}",
        columns=_COLUMNS,
        rows=tuple(rows),
        filters=tuple(filters),
        series=Chart(window.buckets, (Line("refused", "count", tuple(by_time.get(at, 0) for at in window.buckets)),)),
        facts=(Fact("refused", "Refused", "count", total),),
        more=len(found) > choice.limit,
    )

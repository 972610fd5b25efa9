"""Request logs of an organization that has lived for months: written by PostgreSQL itself, millions at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.journal.decision import DecisionForm, Flag, KeyFault, Step
from domain.partitions import partition_name
from domain.snapshots import LimitSnapshot

NOTHING_SPECIAL = Flag(0)
SPAN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Call:
    """An operation as rows name it: {n} of `path` is a number."""

    service_id: UUID
    operation_id: UUID
    method: str
    path: str
    price_micro: int


@dataclass(frozen=True, slots=True)
class Kind:
    """How a request ends; `share` of all, in millionths."""

    share: int
    status: int
    outcome: str
    refusal: str | None = None
    limit_name: str | None = None
    step: Step = Step.ANSWER
    flags: Flag = NOTHING_SPECIAL
    key_fault: KeyFault = KeyFault.NONE


KINDS = (
    Kind(900_000, 200, "served"),
    Kind(30_000, 201, "served", flags=Flag.WAITED),
    Kind(25_000, 404, "served"),
    Kind(20_000, 429, "refused", "rate_limited", "minute", Step.LIMIT, Flag.WAITED),
    Kind(8_000, 402, "refused", "out_of_credits", None, Step.CHARGE, Flag.LEDGER),
    Kind(7_000, 401, "refused", "invalid_api_key", None, Step.KEY, Flag(0), KeyFault.REVOKED),
    Kind(5_000, 502, "failed", "upstream_unreachable", None, Step.FORWARD),
    Kind(2_900, 200, "cut"),
    Kind(2_000, 200, "gone"),
    Kind(100, 500, "served"),
)
AGENTS = ("curl/8.9.1", "python-httpx2/0.28", "Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0", "acme-batch/3.2")

TABLE = "create table {name} (like request_log including defaults including constraints including storage)"
_ROWS = """
insert into {name} (id, at, organization_id, key_id, service_id, operation_id, method, path, query, status, outcome, refusal,
    limit_name, upstream_us, total_us, bytes_in, bytes_out, client, user_agent, cost_micro, trace_id, created_at, decision)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint - total_us / 1000), 12, '0') || '7' || substr(h, 1, 3) || '8'
           || substr(h, 4, 15))::uuid,
       at, $1, ($2::uuid[])[k], ($3::uuid[])[o], ($4::uuid[])[o], ($5::text[])[o],
       replace(($6::text[])[o], '{{n}}', (i % 10007)::text),
       case when i % 3 = 0 then '' else 'q=' || i % 101 || '&limit=20&token=***' end,
       ($7::int[])[s], ($8::text[])[s], ($9::text[])[s], ($10::text[])[s],
       case when ($8::text[])[s] = 'refused' then null else total_us - 300 end, total_us, i % 900, 200 + i * 7 % 9000,
       '198.51.100.0'::inet + i % 250, ($11::text[])[1 + i % {agents}],
       case when ($8::text[])[s] = 'served' and ($7::int[])[s] < 400 then ($12::bigint[])[o] else 0 end,
       case when i % 5 = 0 then h end, at + interval '80 ms', ($13::bytea[])[s]
  from (select i, $14::timestamptz + (i - $15) * $16::interval as at, md5(i::text) as h,
               1 + floor({keys} * power(random(), 3))::int as k, 1 + floor({calls} * power(random(), 2))::int as o,
               1 + width_bucket(random(), $17::float8[]) as s,
               (case when random() < 0.02 then 400000 else 9000 end * exp(1.1 * (random() + random() - 1)))::bigint as total_us
          from generate_series($15::bigint, $18::bigint) as i offset 0) as x
"""


def decisions_of(plan_id: UUID, limits: Sequence[LimitSnapshot], kinds: Sequence[Kind] = KINDS) -> list[bytes]:
    """One trace for each kind."""
    form = DecisionForm(plan_id, limits)
    traces = []
    for kind in kinds:
        numbers = [part for limit in limits for part in (0 if limit.name == kind.limit_name else 640, 21)]
        names = (kind.limit_name,) if kind.limit_name else ()
        traces.append(form.pack(kind.step, kind.key_fault, kind.flags, 77, numbers, names))
    return traces


async def write_logs(
    connection: Any,
    organization_id: UUID,
    keys: list[UUID],
    calls: list[Call],
    traces: list[bytes],
    rows: int,
    now: datetime,
) -> None:
    """Write `rows` rows, evenly over the three days before `now`, each day's partition filled before it is indexed."""
    first, step = now - SPAN, SPAN / rows
    done = 0
    for day in days_of(first, now):
        until = min(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC), now)
        last = min(rows, -int((first - until) // step)) - 1
        if last < done:
            continue
        name, end = partition_name(day), day + timedelta(days=1)
        await connection.execute(f"drop table if exists {name}")
        await connection.execute(TABLE.format(name=name))
        statement = _ROWS.format(name=name, agents=len(AGENTS), keys=len(keys), calls=len(calls))
        await connection.execute(
            statement,
            organization_id,
            keys,
            [call.service_id for call in calls],
            [call.operation_id for call in calls],
            [call.method for call in calls],
            [call.path for call in calls],
            [kind.status for kind in KINDS],
            [kind.outcome for kind in KINDS],
            [kind.refusal for kind in KINDS],
            [kind.limit_name for kind in KINDS],
            list(AGENTS),
            [call.price_micro for call in calls],
            traces,
            first + done * step,
            done,
            step,
            thresholds(),
            last,
            timeout=3600,
        )
        await connection.execute(
            f"alter table request_log attach partition {name} for values from ('{day}') to ('{end}')", timeout=3600
        )
        await connection.execute(f"analyze {name}", timeout=600)
        done = last + 1


def days_of(first: datetime, last: datetime) -> list[date]:
    """The UTC days from the first to the last."""
    return [first.date() + timedelta(days=offset) for offset in range((last.date() - first.date()).days + 1)]


def thresholds() -> list[float]:
    """For width_bucket of random(): which of KINDS."""
    total, bounds = 0, []
    for kind in KINDS[:-1]:
        total += kind.share
        bounds.append(total / 1_000_000)
    return bounds

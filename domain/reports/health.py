"""Whether the installation keeps up: ingest, journals, leases, partitions, mails, webhooks, sizes, jobs."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.job_queue import QueueDepth
from domain.log_store.outbox import left, standing
from domain.reports.shapes import Column, Report, ReportChoice
from domain.reports.words import percent
from domain.waiting import MOST, read_outbox

_JOURNAL_CLOSED = 2**31 - 1
_PARTITIONS_AHEAD = 1
_LATE = {"unfolded": 120.0, "unsent": 300.0, "mail": 300.0, "webhook": 300.0}
"""Seconds behind which something is late."""

_INGEST = f"""
select (select count(*) from usage_unfolded) as batches, (select min(first_at) from usage_unfolded) as oldest,
       (select count(distinct journal_id) from journal_position) as journals,
       (select count(*) from journal_position where consumer = 'log' and segment < {_JOURNAL_CLOSED}) as open,
       (select max(updated_at) from journal_position where consumer = 'log') as stored,
       (select max(updated_at) from journal_position where consumer = 'rollup') as folded
"""
_CREDITS = f"""
select (select count(*) from credit_holder where closed_at is null) as holders,
       (select coalesce(sum(l.amount_micro - l.spent_micro - l.returned_micro), 0)::bigint
          from credit_holder h join credit_lease l on l.holder_id = h.id where h.closed_at is null) as leased,
       (select count(*) from (select 1 from credit_reservation where state = 'held' limit {MOST}) as r) as held,
       (select count(*) from (select 1 from credit_reservation where state = 'held' and deadline < $1 limit {MOST}) as r)
           as overdue
"""
_PARTITIONS = """
select count(*) as present, min(c.relname) as oldest, max(c.relname) as newest
  from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'request_log'::regclass
"""
_SIZES = """
select c.relname as name, case when c.relkind = 'p' then
         (select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0) from pg_inherits i where i.inhparent = c.oid)
         else pg_total_relation_size(c.oid) end::bigint as bytes,
       case when c.relkind = 'p' then
         (select coalesce(sum(greatest(p.reltuples, 0)), 0) from pg_inherits i join pg_class p on p.oid = i.inhrelid
           where i.inhparent = c.oid) else greatest(c.reltuples, 0) end::bigint as rows
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition
 order by 2 desc, 1 limit $1
"""
_DATABASE = "select pg_database_size(current_database()) as bytes"
_CATALOG = "select last_value from catalog_generation"
_HAS_JOBS = "select to_regclass('job_run') is not null"
# From name to name along the index, not through all runs.
_JOBS = """
with recursive job as (
    (select name, state, created_at, ended_at from job_run order by name, created_at desc limit 1)
    union all
    select n.* from job cross join lateral (
        select name, state, created_at, ended_at from job_run where name > job.name
         order by name, created_at desc limit 1) as n)
select * from job order by name limit $1
"""
_COLUMNS = (
    Column("part", "Part", "text"),
    Column("what", "What", "text"),
    Column("value", "Value", "text"),
    Column("since", "Since", "moment"),
    Column("state", "State", "text"),
)
OK, LATE, NOTE = "ok", "late", ""


async def system_health(connection: Any, choice: ReportChoice) -> Report:
    """One line for each thing; `state` is ok, late, failed, or empty where there is nothing to judge."""
    now = choice.window.now
    rows = [
        *await _ingest(connection, now),
        *await _log_store(connection, now),
        *await _credits(connection, now),
        *await _partitions(connection, now),
        *await _queue(connection, "mails", "mail", now),
        *await _queue(connection, "webhooks", "webhook", now),
        ("catalog", "generation", str(await connection.fetchval(_CATALOG)), None, NOTE),
        *await _sizes(connection, choice.limit),
        *await _jobs(connection, choice.limit),
    ]
    return Report(
        slug="system-health",
        title="System health",
        sentence=f"As the database knows it, {now:%Y-%m-%d %H:%M:%S} UTC. Rows of tables are estimates of its statistics;"
        f" queues are counted up to {MOST:,}; failures are those of the last day.",
        columns=_COLUMNS,
        rows=tuple(rows),
        filters=(None,) * len(rows),
    )


Row = tuple[str, str, str, datetime | None, str]


async def unwell(connection: Any, now: datetime) -> list[Row]:
    """What is late or failed, without jobs, which wait for somebody by themselves; without sizes, so that it costs little."""
    rows = [
        *await _ingest(connection, now),
        *await _log_store(connection, now),
        *await _credits(connection, now),
        *await _partitions(connection, now),
        *await _queue(connection, "mails", "mail", now),
        *await _queue(connection, "webhooks", "webhook", now),
    ]
    return [row for row in rows if row[4] in (LATE, "failed")]


async def _ingest(connection: Any, now: datetime) -> list[Row]:
    found = await connection.fetchrow(_INGEST)
    lag = (now - found["oldest"]).total_seconds() if found["oldest"] else 0.0
    return [
        ("ingest", "batches not in the rollups yet", str(found["batches"]), found["oldest"], _judged(lag, "unfolded")),
        ("ingest", "journals", f"{found['journals']}, {found['open']} open", None, NOTE),
        ("ingest", "requests last stored", _moment(found["stored"]), found["stored"], NOTE),
        ("ingest", "rollups last folded", _moment(found["folded"]), found["folded"], NOTE),
    ]


async def _log_store(connection: Any, now: datetime) -> list[Row]:
    if await standing(connection) is None:
        return []
    found = await left(connection)
    lag = (now - found.oldest).total_seconds() if found.oldest else 0.0
    return [("log store", "rows that wait to be sent", str(found.rows), found.oldest, _judged(lag, "unsent"))]


async def _credits(connection: Any, now: datetime) -> list[Row]:
    found = await connection.fetchrow(_CREDITS, now)
    return [
        ("credits", "workers that may hold credits", str(found["holders"]), None, NOTE),
        ("credits", "micro-credits leased to them", str(found["leased"]), None, NOTE),
        ("credits", "reservations open", _counted(found["held"]), None, NOTE),
        ("credits", "of them past their deadline", _counted(found["overdue"]), None, LATE if found["overdue"] else OK),
    ]


async def _partitions(connection: Any, now: datetime) -> list[Row]:
    found = await connection.fetchrow(_PARTITIONS)
    oldest, newest = _day_of(found["oldest"]), _day_of(found["newest"])
    ready = newest is not None and newest >= now.astimezone(UTC).date() + timedelta(days=_PARTITIONS_AHEAD)
    return [
        ("request log", "partitions", str(found["present"]), None, NOTE),
        ("request log", "oldest day", str(oldest or "none"), None, NOTE),
        ("request log", "newest day", str(newest or "none"), None, OK if ready else LATE),
    ]


async def _queue(connection: Any, part: str, kind: str, now: datetime) -> list[Row]:
    found = await read_outbox(connection, kind, now)
    late = found.behind(now) > _LATE[kind]
    return [
        (part, "waiting", _counted(found.waiting), found.due, LATE if late else OK),
        (part, "given up in the last day", _counted(found.failed), None, "failed" if found.failed else OK),
    ]


def with_queue(report: Report, depth: QueueDepth | None) -> Report:
    """The report with what lies in the queue of jobs, which is in Redis; None: it does not answer."""
    rows: tuple[Row, ...] = (("job queue", "depth", "Redis does not answer", None, LATE),)
    if depth is not None:
        state = LATE if depth.late else OK
        rows = (
            ("job queue", "wait for a worker", f"{depth.waiting:,}", None, state),
            ("job queue", "being worked on", f"{depth.active:,}", None, NOTE),
            ("job queue", "for later, by schedule or to be tried again", f"{depth.delayed:,}", None, NOTE),
        )
    at = next((place for place, row in enumerate(report.rows) if row[0] in ("catalog", "database")), len(report.rows))
    filters = (*report.filters[:at], *(None,) * len(rows), *report.filters[at:])
    return replace(report, rows=(*report.rows[:at], *rows, *report.rows[at:]), filters=filters)


async def _sizes(connection: Any, limit: int) -> list[Row]:
    whole = (await connection.fetchrow(_DATABASE))["bytes"]
    rows: list[Row] = [("database", "size", _bytes(whole), None, NOTE)]
    for row in await connection.fetch(_SIZES, min(limit, 20)):
        share = percent(row["bytes"], whole)
        rows.append(
            ("table", row["name"], f"{_bytes(row['bytes'])} ({share} %), about {row['rows']:,} rows", None, NOTE)
        )
    return rows


async def _jobs(connection: Any, limit: int) -> list[Row]:
    """The last run of each job, where such runs are kept."""
    if not await connection.fetchval(_HAS_JOBS):
        return []
    return [
        (
            "job",
            row["name"],
            row["state"],
            row["ended_at"] or row["created_at"],
            "failed" if row["state"] == "failed" else OK,
        )
        for row in await connection.fetch(_JOBS, limit)
    ]


def _judged(lag: float, name: str) -> str:
    return LATE if lag > _LATE[name] else OK


def _counted(count: int) -> str:
    return f"{MOST:,} or more" if count >= MOST else f"{count:,}"


def _moment(at: datetime | None) -> str:
    return "never" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _day_of(partition: str | None) -> date | None:
    digits = "".join(letter for letter in partition or "" if letter.isdigit())
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _bytes(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count:,} {unit}"
        count //= 1_024
    return f"{count:,} TB"

"""Which batches of request logs the log store lacks, in PostgreSQL's own words.

A batch is what one transaction stored: the rows of one `created_at`, which never change. It stands in `log_outbox` from
that transaction on until it is known that the log store has it. Before it is sent, it is given to a shipment, whose id is
what the log store knows it by: sent again it is the same rows in the same order under the same id, and counts once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from domain.log_store.clickhouse import ClickHouse, micros, moment_of
from domain.snapshots import NO_ID

MOST_ROWS = 20_000
"""Rows of a shipment, about: a batch is never divided."""

COLUMNS = (
    "id", "at", "organization_id", "key_id", "service_id", "operation_id", "method", "path", "query", "status", "outcome",
    "refusal", "limit_name", "upstream_us", "total_us", "bytes_in", "bytes_out", "client", "user_agent", "cost_micro",
    "trace_id", "decision", "created_at",
)  # fmt: skip
"""What is sent, in this order, and in these names."""

_SENT = {
    **{name: f"coalesce(r.{name}, '{NO_ID}')" for name in ("organization_id", "key_id", "service_id", "operation_id")},
    **{name: f"r.{name} at time zone 'UTC'" for name in ("at", "created_at")},
    "client": "host(r.client)",
    "decision": "encode(r.decision, 'hex')",
}
# Batch by batch along the index of times: only there is a batch's share of a day near.
_ROWS = f"""
select {", ".join(_SENT.get(name, f"r.{name}") for name in COLUMNS)}
  from (select * from log_outbox where shipment = $1 order by stored_at) b
 cross join lateral (select * from request_log r where r.at between b.first_at and b.last_at and r.created_at = b.stored_at
                     offset 0) r
 order by r.created_at, r.at, r.id
"""
_STANDING = """
select s.adopted_at is not null as ready, s.rewind_from,
       (select stored_at from log_outbox order by stored_at limit 1) as stored_from,
       (select first_at from log_outbox order by first_at limit 1) as first_at
  from log_store s
"""
_WAITING = "select shipment from log_outbox where shipment is not null order by stored_at limit 1"
_ASSIGN = """
update log_outbox set shipment = $1 where stored_at in (
    select stored_at from (
        select stored_at, sum(rows) over (order by stored_at) - rows as before from (
            select stored_at, rows from log_outbox where shipment is null order by stored_at limit $3) as oldest) as counted
     where before < $2)
"""
_MOST_BATCHES = 500
_SHIPMENT = "select count(*) as batches, coalesce(sum(rows), 0)::bigint as rows from log_outbox where shipment = $1"
_DONE = "delete from log_outbox where shipment = $1"
_LEFT = "select count(*) as batches, coalesce(sum(rows), 0)::bigint as rows, min(stored_at) as oldest from log_outbox"
_BEGIN = (
    "lock table request_log in share row exclusive mode; insert into log_store default values on conflict do nothing"
)
_STRAYS = """
select r.created_at, min(r.at) as first_at, max(r.at) as last_at, count(*)::int as rows from request_log r
 where not exists (select from log_outbox b where b.stored_at = r.created_at) group by 1
"""
_ADD = """
insert into log_outbox (stored_at, first_at, last_at, rows)
select * from unnest($1::timestamptz[], $2::timestamptz[], $3::timestamptz[], $4::int[]) on conflict do nothing
"""
_HELD = """
select toUnixTimestamp64Micro(created_at), count() from request_log
 where created_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') group by created_at
"""
_HELD_SECONDS = 60.0
_FORGET = """
alter table request_log delete where toUnixTimestamp64Micro(created_at) in {batches:Array(Int64)} settings mutations_sync = 2
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the log store lacks: every row whose created_at is `stored_from` or later is in PostgreSQL, every other that
    is stored is in the log store. None: nothing is missing. `first_at` is the least `at` of the missing rows.

    Not `ready`: PostgreSQL's rows from before were not looked through yet, so PostgreSQL has to be asked.
    """

    ready: bool
    stored_from: datetime | None
    first_at: datetime | None
    rewind_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What waits to be sent; `oldest` is when it was stored."""

    batches: int
    rows: int
    oldest: datetime | None


async def standing(connection: Any) -> Standing | None:
    """How the two stand; None where logs go to PostgreSQL alone."""
    row = await connection.fetchrow(_STANDING)
    return Standing(row["ready"], row["stored_from"], row["first_at"], row["rewind_from"]) if row else None


async def left(connection: Any) -> Left:
    """What waits to be sent."""
    return Left(**await connection.fetchrow(_LEFT))


async def next_shipment(connection: Any, most_rows: int = MOST_ROWS) -> UUID | None:
    """The shipment to send: one that may have been sent already, else of the oldest batches; None without any.

    One process at a time may call this (`shipping.LOCK`).
    """
    waiting: UUID | None = await connection.fetchval(_WAITING)
    if waiting is not None:
        return waiting
    made = uuid4()
    done = await connection.execute(_ASSIGN, made, most_rows, _MOST_BATCHES)
    return None if done == "UPDATE 0" else made


async def rows_of(connection: Any, shipment: UUID) -> tuple[bytes, int]:
    """The rows of a shipment as tab-separated text, the same bytes each time; how many they are.

    Raises LookupError where PostgreSQL does not have all of them.
    """
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        pieces.append(piece)

    wanted = await connection.fetchrow(_SHIPMENT, shipment)
    done = await connection.copy_from_query(_ROWS, shipment, output=keep)
    found = int(done.rpartition(" ")[2])
    if found != wanted["rows"]:
        raise LookupError(f"shipment {shipment}: {found} of {wanted['rows']} rows are in request_log")
    return b"".join(pieces), found


async def done(connection: Any, shipment: UUID) -> None:
    """The log store has it."""
    await connection.execute(_DONE, shipment)


async def begin(connection: Any) -> bool:
    """From here on each batch that is stored goes to the log store too; whether that is new.

    Waits for the batches that are being stored, and keeps others out for that long.
    """
    async with connection.transaction():
        if await connection.fetchval("select exists (select from log_store)"):
            return False
        await connection.execute(_BEGIN)
    return True


async def adopt(connection: Any, store: ClickHouse) -> int:
    """Send what PostgreSQL has and the log store has not, whenever it was stored; how many rows that is.

    Batches are compared by the time they were stored at, with their numbers of rows.
    """
    strays = await connection.fetch(_STRAYS, timeout=None)
    held: dict[datetime, int] = {}
    if strays:
        since = micros(min(row["created_at"] for row in strays))
        found = await store.rows(_HELD, {"since": since}, seconds=_HELD_SECONDS)
        held = {moment_of(at): rows for at, rows in found}
    missing = [tuple(row) for row in strays if held.get(row["created_at"], 0) < row["rows"]]
    if torn := [micros(stored_at) for stored_at, *_ in missing if stored_at in held]:
        # A part of a batch, where somebody lost the rest: it is sent whole again, so the part must go.
        await store.execute(_FORGET, {"batches": torn})
    async with connection.transaction():
        if missing:
            await connection.execute(_ADD, *map(list, zip(*missing, strict=True)))
        await connection.execute("update log_store set adopted_at = coalesce(adopted_at, now())")
    return sum(rows for _, _, _, rows in missing)

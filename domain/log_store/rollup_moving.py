"""Moves old rollups by key from PostgreSQL to the log store: each once, whatever is killed in between.

A shipment leaves `usage_rollup` in one transaction, for `usage_rollup_moved`, where readers still count it. It is sent under
its token, compared with what the log store then has of it, and noted: from that commit on readers take it from
there. PostgreSQL's copy goes GRACE later, when nobody can be reading by an older mark. One process at a time moves.

What the log store has of shipments that PostgreSQL does not know (it came out of a backup, or lost its last seconds) is
of another token, and goes before a shipment of that number is noted.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.faults import Unavailable
from domain.log_store.clickhouse import SLOW_SECONDS, ClickHouse
from domain.log_store.old_rollups import COLUMNS, SUMS

LOCK = 7_236_118_056
"""Advisory lock (session scope) of who moves rollups."""
MOST_ROWS = 20_000
"""Rows of a shipment."""
MOST_SHIPMENTS = 60
"""Of one run."""
GRACE = timedelta(hours=1)
"""How long somebody may be reading by what they were told before."""
HOURS_KEPT = timedelta(days=92)
"""Months of hours leave the log store when they are older: nobody counts hours from so long ago."""

_GRAINS = ("day", "hour")
_NAMES = ", ".join(COLUMNS)
_FIRST = "insert into rollup_mark default values on conflict do nothing"
_MARK = "select sent, before, announced_at < clock_timestamp() - $1::interval as heard from rollup_mark"
_ANNOUNCE = "update rollup_mark set before = $1, announced_at = clock_timestamp() where before is null or before < $1"
_PENDING = "select number, token from rollup_shipment where sent_at is null order by number limit 1"
_BEGIN = "insert into rollup_shipment (number, token) select sent + 1, $1 from rollup_mark returning number"
_OLDEST = "select min(bucket) from usage_rollup where grain = $1 and bucket < $2"
# One month of one grain, so that it is one block of one partition there. Who is folding into a row keeps it for the next.
_TAKE = f"""
with gone as (
    delete from usage_rollup where ctid = any(array(
        select ctid from usage_rollup where grain = $2 and bucket >= $3 and bucket < $4
         order by bucket limit $5 for update skip locked)) returning {_NAMES}
)
insert into usage_rollup_moved (shipment, {_NAMES}) select $1, {_NAMES} from gone
"""
_TEXTS = {
    "bucket": "to_char(bucket at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
    "latency": "'[' || array_to_string(latency, ',') || ']'",
}
_KEY = "organization_id, grain, key_id, bucket, service_id, operation_id, status_class"
_ROWS = f"""
select $1::bigint, $2::uuid, {", ".join(_TEXTS.get(name, name) for name in COLUMNS)}
  from usage_rollup_moved where shipment = $1 order by {_KEY}
"""
_HERE = f"""
select count(*), {", ".join(f"coalesce(sum({name}), 0)::bigint" for name in SUMS)},
       coalesce(sum((select sum(n) from unnest(latency) as u (n))), 0)::bigint
  from usage_rollup_moved where shipment = $1
"""
_THERE = f"""
select count(), {", ".join(f"sum({name})" for name in SUMS)}, sum(arraySum(latency)) from usage_rollup
 where shipment = {{number:Int64}} and token = {{token:UUID}}
"""
_INSERT = f"insert into usage_rollup (shipment, token, {_NAMES}) format TabSeparated"
_STRANGE = "shipment >= {number:Int64} and token != {token:UUID}"
_ARE_STRANGE = f"select count() from usage_rollup where {_STRANGE}"
_FORGET = f"alter table usage_rollup delete where {_STRANGE} settings mutations_sync = 2"
_NOTED = "update rollup_mark set sent = $1 where sent = $1 - 1"
_ARRIVED = "update rollup_shipment set sent_at = clock_timestamp() where number = $1"
# Somewhat more than go, so that none goes that was not looked at.
_SENT = (
    "select number, token from rollup_shipment where sent_at < clock_timestamp() - $1::interval * 0.9 order by number"
)
_OVER = "delete from rollup_shipment where sent_at < clock_timestamp() - $1::interval"
_MONTHS = """
select distinct partition from system.parts
 where active and database = currentDatabase() and table = 'usage_rollup' and startsWith(partition, '(\\'hour\\',')
"""


class RollupsDifferError(Unavailable):
    """What the log store has of a shipment is not what was sent. It is sent again under another token, by the next run."""

    code = "log_store_refused"


async def move_rollups(
    connection: Any,
    store: ClickHouse,
    now: datetime,
    days: int,
    *,
    most: int = MOST_SHIPMENTS,
    most_rows: int = MOST_ROWS,
    grace: timedelta = GRACE,
) -> int:
    """Move rollups of hours and days that began before `days` UTC days ago; how many rows were sent.

    0 where another process does. Raises RollupsDifferError, LogStoreAway, LogStoreRefused. In no transaction.
    """
    if not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
        return 0
    try:
        await _keep_what_was_lost(connection, store, grace)
        await connection.execute(_OVER, grace)
        await connection.execute(_FIRST)
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await connection.execute(_ANNOUNCE, midnight - timedelta(days=days))
        moved = 0
        for _ in range(most):
            if (number := await take(connection, grace, most_rows)) is None:
                break
            moved += await send(connection, store, number)
        return moved
    finally:
        await connection.execute("select pg_advisory_unlock($1)", LOCK)


async def take(connection: Any, grace: timedelta = GRACE, most_rows: int = MOST_ROWS) -> int | None:
    """The number of the shipment to send: one that may have been sent already, else the oldest rollups that readers were
    told of; None where nothing is to be moved. The caller holds LOCK.
    """
    if (waiting := await connection.fetchrow(_PENDING)) is not None:
        number: int = waiting["number"]
        return number
    mark = await connection.fetchrow(_MARK, grace)
    if not mark["heard"]:
        return None
    for grain in _GRAINS:
        oldest = await connection.fetchval(_OLDEST, grain, mark["before"])
        if oldest is not None and (number := await _taken(connection, grain, oldest, mark["before"], most_rows)):
            return number
    return None


async def _taken(connection: Any, grain: str, oldest: datetime, before: datetime, most_rows: int) -> int:
    """The number of a new shipment; 0 where all its rows are in use."""
    first = oldest.astimezone(UTC).replace(day=1, hour=0)
    following = (first + timedelta(days=32)).replace(day=1)
    transaction = connection.transaction()
    await transaction.start()
    try:
        number: int = await connection.fetchval(_BEGIN, uuid4())
        done = await connection.execute(_TAKE, number, grain, first, min(following, before), most_rows)
    except BaseException:
        await transaction.rollback()
        raise
    if done == "INSERT 0 0":
        await transaction.rollback()
        return 0
    await transaction.commit()
    return number


async def send(connection: Any, store: ClickHouse, number: int) -> int:
    """Send this one, unless all of it has arrived; compare, and note it. How many rows it has."""
    token: UUID = await connection.fetchval("select token from rollup_shipment where number = $1", number)
    here = list(await connection.fetchrow(_HERE, number))
    if await _there(store, number, token) != here:
        await store.insert(_INSERT, await _text(connection, number, token), str(token))
    found = await _there(store, number, token)
    if found != here:
        # Known by its token, and not there: somebody took it out. Under a new one it is sent whole.
        await connection.execute("update rollup_shipment set token = $2 where number = $1", number, uuid4())
        raise RollupsDifferError(f"The log store has {found[0]} of {here[0]} rollups of shipment {number}, or others.")
    which = {"number": number, "token": token}
    if (await store.rows(_ARE_STRANGE, which, seconds=SLOW_SECONDS))[0][0]:
        await store.execute(_FORGET, which)
    async with connection.transaction():
        await connection.execute(_NOTED, number)
        await connection.execute(_ARRIVED, number)
    rows: int = here[0]
    return rows


async def _keep_what_was_lost(connection: Any, store: ClickHouse, grace: timedelta) -> None:
    """Before PostgreSQL's copies go: what the log store lost since it was noted, as by a power cut there, is sent again.

    Raises RollupsDifferError where it has others, and PostgreSQL keeps its copies.
    """
    for number, token in await connection.fetch(_SENT, grace):
        here = list(await connection.fetchrow(_HERE, number))
        found = await _there(store, number, token)
        if not found[0]:
            await store.insert(_INSERT, await _text(connection, number, token), str(uuid4()))
            found = await _there(store, number, token)
        if found != here:
            raise RollupsDifferError(
                f"The log store has {found[0]} of {here[0]} rollups of shipment {number}, or others."
            )


async def expire_hours(store: ClickHouse, now: datetime) -> list[str]:
    """Drop months of hours that nobody counts any more; which, as 202601."""
    dropped = []
    for (partition,) in await store.rows(_MONTHS):
        month = partition.rpartition(",")[2].strip(") ")
        first = datetime.strptime(month, "%Y%m").replace(tzinfo=UTC)
        if (first + timedelta(days=32)).replace(day=1) < now - HOURS_KEPT:
            await store.execute(f"alter table usage_rollup drop partition ('hour', {int(month)})")
            dropped.append(month)
    return sorted(dropped)


async def _there(store: ClickHouse, number: int, token: UUID) -> list[int]:
    rows = await store.rows(_THERE, {"number": number, "token": token}, seconds=SLOW_SECONDS)
    return [int(value) for value in rows[0]]


async def _text(connection: Any, number: int, token: UUID) -> bytes:
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        pieces.append(piece)

    await connection.copy_from_query(_ROWS, number, token, output=keep)
    return b"".join(pieces)

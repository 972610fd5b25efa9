"""Turning the log store on and off: its tables, the switch in the database, and the rows from before."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from domain.log_store.clickhouse import ClickHouse
from domain.log_store.leaving import stored_days
from domain.log_store.outbox import Left, adopt, begin, left, standing
from domain.log_store.store import open_store
from domain.log_store.tables import VERSIONS, bring_up, version_of
from domain.migrating import CONNECT_TIMEOUT
from domain.partitions import present_days
from domain.settings import Settings

_REWIND = "update log_store set rewind_from = least(rewind_from, $1)"
_OFF = "delete from log_outbox; delete from log_store"


@dataclass(frozen=True, slots=True)
class TurnedOn:
    """What was done: versions of the tables applied, whether logs go there only from now on, rows that are to be sent."""

    versions: int
    new: bool
    adopted: int


@dataclass(frozen=True, slots=True)
class StoreReport:
    """How the log store stands. `on`: the database sends logs to it; `ready`: pages read them there.

    Days are UTC days, oldest first.
    """

    address: str
    version: int
    wanted_version: int
    on: bool
    ready: bool
    waiting: Left
    days: list[date]
    postgres_days: list[date]


async def turn_on(dsn: str, store: ClickHouse) -> TurnedOn:
    """Bring the tables to this version, and send there what is stored from now on and what PostgreSQL has.

    Safe to run again. Raises LogStoreAway, LogStoreRefused, what asyncpg raises, and OSError.
    """
    versions = await bring_up(store)
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
    try:
        new = await begin(connection)
        now = await standing(connection)
        adopted = 0 if now is not None and now.ready else await adopt(connection, store)
    finally:
        await connection.close()
    return TurnedOn(versions, new, adopted)


async def turn_on_if_set(settings: Settings, dsn: str) -> TurnedOn | None:
    """The same for the log store of the settings; None without one."""
    url = settings.logs.store_url.get_secret_value()
    if not url:
        return None
    async with open_store(url) as store:
        return await turn_on(dsn, store)


async def turn_off(connection: Any) -> bool:
    """Send nothing more; whether it was on. What the log store has stays there, and no page reads it any more."""
    async with connection.transaction():
        was_on: bool = await connection.fetchval("select exists (select from log_store)")
        await connection.execute(_OFF)
    return was_on


async def rewind(connection: Any, moment: datetime) -> bool:
    """PostgreSQL lost what was stored from `moment` on: the log store forgets it before it is sent anything more.

    Rows that PostgreSQL does have are sent again. False: it is off.
    """
    done: str = await connection.execute(_REWIND, moment)
    return done != "UPDATE 0"


async def report(connection: Any, store: ClickHouse) -> StoreReport:
    """How both stand. Raises LogStoreAway, LogStoreRefused."""
    version, now = await version_of(store), await standing(connection)
    return StoreReport(
        address=store.address.shown,
        version=version,
        wanted_version=len(VERSIONS),
        on=now is not None,
        ready=now is not None and now.ready,
        waiting=await left(connection),
        days=await stored_days(store) if version else [],
        postgres_days=await present_days(connection),
    )

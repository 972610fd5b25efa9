"""Sends batches of request logs from PostgreSQL to the log store: each once, whatever is killed in between.

One process of an installation sends at a time; it holds a lock of PostgreSQL for as long. While the log store is away
rows stay in PostgreSQL, whose days are not dropped before they are sent; requests, their charges and limits notice nothing.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from domain.faults import in_one_line
from domain.log_store import outbox
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse, LogStoreAway, LogStoreRefused, micros
from domain.settings import Settings

log = logging.getLogger(__name__)

LOCK = 7_236_118_055
"""Advisory lock (session scope) that the sending process holds."""

PAUSE_SECONDS = 1.0
"""Between shipments that are not full: ClickHouse wants few large inserts."""

_STANDBY_SECONDS = 3.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 15.0
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 60.0
_FORESEEN = (
    *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(LogStoreAway, LogStoreRefused),
)
_INSERT = f"insert into request_log ({', '.join(outbox.COLUMNS)}) format TabSeparated"
_FORGET = """
alter table request_log delete where created_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') settings mutations_sync = 2
"""


@dataclass(frozen=True, slots=True)
class ShippingStatus:
    """For /ready and /metrics. `lag_seconds` is the age of the oldest batch that waits, as far as this process knows.

    `active`: this process is the one that sends.
    """

    active: bool
    sent: int
    faults: int
    waiting: int
    lag_seconds: float
    fault: str


class Shipper:
    """One in each ingester process; all but one stand by."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.database.url.get_secret_value()
        self._address = parse_address(settings.logs.store_url.get_secret_value())
        self._stopping = asyncio.Event()
        self._active = False
        self._sent = self._faults = self._waiting = 0
        self._oldest: float | None = None
        self._fault = ""

    def stop(self) -> None:
        """End after the shipment that is under way."""
        self._stopping.set()

    def status(self) -> ShippingStatus:
        """The figures now."""
        lag = max(0.0, time.time() - self._oldest) if self._oldest is not None else 0.0
        return ShippingStatus(self._active, self._sent, self._faults, self._waiting, lag, self._fault)

    async def run(self) -> None:
        """Send until `stop`."""
        delay = _FIRST_DELAY
        store = ClickHouse(self._address)
        try:
            while not self._stopping.is_set():
                try:
                    await self._session(store)
                    delay = _FIRST_DELAY
                except Exception as fault:  # noqa: BLE001  rows must be sent after every fault
                    self._failed(fault)
                    await self._sleep(delay)
                    delay = min(delay * 2, _LONGEST_DELAY)
                finally:
                    self._active = False
        finally:
            await store.close()

    async def _session(self, store: ClickHouse) -> None:
        """Until something raises, or `stop`."""
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_SECONDS,
            command_timeout=_STATEMENT_SECONDS,
            server_settings={"application_name": "paid-endpoint log shipper", "datestyle": "ISO"},
        )
        try:
            while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
                await self._sleep(_STANDBY_SECONDS)
                if self._stopping.is_set():
                    return
            self._active = True
            while not self._stopping.is_set():
                rows = await send_next(connection, store)
                self._sent += rows
                await self._look(connection)
                self._recovered()
                if rows < outbox.MOST_ROWS:
                    await self._sleep(PAUSE_SECONDS)
        finally:
            connection.terminate()

    async def _look(self, connection: Any) -> None:
        found = await outbox.left(connection)
        self._waiting, self._oldest = found.rows, found.oldest.timestamp() if found.oldest else None

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _failed(self, fault: Exception) -> None:
        self._faults += 1
        if not self._fault:
            trace = None if isinstance(fault, _FORESEEN) else fault
            log.error("request logs cannot be sent to the log store: %s", in_one_line(fault), exc_info=trace)
        self._fault = f"{in_one_line(fault)} {getattr(fault, 'said', '')}".strip()

    def _recovered(self) -> None:
        if self._fault:
            log.warning("request logs are sent to the log store again")
        self._fault = ""


async def send_next(connection: Any, store: ClickHouse) -> int:
    """Send one shipment; how many rows it had, 0: nothing waits. The caller holds LOCK.

    After any exception it is unknown whether it arrived: the next call sends the same again, which then counts once.
    """
    now = await outbox.standing(connection)
    if now is None:
        return 0
    if now.rewind_from is not None:
        await _rewind(connection, store, now)
    shipment = await outbox.next_shipment(connection)
    if shipment is None:
        return 0
    return await send(connection, store, shipment)


async def send(connection: Any, store: ClickHouse, shipment: UUID) -> int:
    """Send this one, and note that it arrived."""
    data, rows = await outbox.rows_of(connection, shipment)
    await store.insert(_INSERT, data, str(shipment))
    await outbox.done(connection, shipment)
    return rows


async def _rewind(connection: Any, store: ClickHouse, now: outbox.Standing) -> None:
    """PostgreSQL came out of a backup: the log store forgets what that does not know, and gets what it has since."""
    assert now.rewind_from is not None
    log.warning("the database was restored: the log store forgets what was stored from %s on", now.rewind_from)
    await store.execute(_FORGET, {"since": micros(now.rewind_from)})
    # Shipments of before the backup are forgotten: under their old names the store would take them for known ones.
    await connection.execute("update log_outbox set shipment = null")
    await outbox.adopt(connection, store)
    await connection.execute("update log_store set rewind_from = null")

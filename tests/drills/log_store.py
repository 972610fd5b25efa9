"""How fast request logs go on to ClickHouse, how fast they are searched there, and what they take of the disk.

    python -m tests.drills.log_store --rows 1000000

Its own PostgreSQL, and ClickHouse's own engine behind our HTTP program (`tests/clickhouse/engine.py`), on this machine.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from cli.supervisor.services import EmbeddedServices
from domain.log_reading import LogFilter
from domain.log_search import LogSearch
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.outbox import left
from domain.log_store.shipping import send_next
from domain.log_store.store import POSTGRES, LogStore
from domain.log_store.turning import turn_on
from domain.migrating import migrate
from domain.partitions import ensure_partitions
from tests.clickhouse.server import clickhouse_server

_BATCH = 5_000
_ORGANIZATIONS = 20
_ROUNDS = 7
_FILL = """
insert into request_log (id, at, organization_id, key_id, method, path, status, outcome, upstream_us, total_us, bytes_in,
                         bytes_out, client, user_agent, cost_micro, trace_id, decision)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8'
        || substr(md5(random()::text), 1, 15))::uuid,
       at, ($1::uuid[])[1 + (random() * 19)::int], ($2::uuid[])[1 + (random() * 99)::int], 'GET', '/weather/v1/items/' || (random() * 100000)::int,
       (array[200,200,200,200,200,200,200,404,429,502])[1 + (random() * 9)::int], 'served', (random() * 20000)::int,
       (random() * 30000)::int, 0, (random() * 5000)::int, ('198.51.' || (random() * 255)::int || '.' || (random() * 255)::int)::inet,
       'python-httpx/0.28', 1000, md5(random()::text), decode(md5(random()::text) || md5(random()::text), 'hex')
  from (select $3::timestamptz + i * $4::interval as at from generate_series(0, $5::int - 1) i) as times
"""


async def fill(connection: Any, rows: int, owners: list[UUID]) -> None:
    """Rows of the last three days, a transaction for every 5,000, as the ingester stores them."""
    now, span = datetime.now(UTC), timedelta(days=2, hours=20)
    await ensure_partitions(connection, (now - timedelta(days=3)).date(), now.date())
    keys, step = [uuid4() for _ in range(100)], span / rows
    for first in range(0, rows, _BATCH):
        await connection.execute(_FILL, owners, keys, now - span + first * step, step, min(_BATCH, rows - first))
    await connection.execute("analyze request_log")


async def timed(logs: LogStore, connection: Any, owner: UUID) -> dict[str, float]:
    """Milliseconds of each kind of search: the median of some."""
    some = (await logs.search(connection, owner, LogSearch())).entries[-1]

    async def export() -> None:
        after = None
        while True:
            found = await logs.take_batch(connection, owner, LogSearch(), after=after, limit=1_000)
            after = found.following
            if after is None:
                return

    kinds = {
        "the newest page of an organization": lambda: logs.search(connection, owner, LogSearch()),
        "status 5xx": lambda: logs.search(connection, owner, LogSearch(lowest_status=500, highest_status=599)),
        "one path": lambda: logs.search(connection, owner, LogSearch(path=some.path)),
        "one client's network": lambda: logs.search(connection, owner, LogSearch(client=ip_network("198.51.7.0/29"))),
        "one request by its id": lambda: logs.find(connection, owner, some.id),
        "everybody's newest": lambda: logs.newest(connection, LogFilter(), 50),
    }
    found = {}
    for name, work in kinds.items():
        times = []
        for _ in range(_ROUNDS):
            begun = time.monotonic()
            await work()
            times.append((time.monotonic() - begun) * 1_000)
        found[name] = median(times)
    begun = time.monotonic()
    await export()
    found["all rows of an organization, as an export takes them"] = (time.monotonic() - begun) * 1_000
    return found


async def run(dsn: str, url: str, rows: int) -> None:
    """Fill, send, search; print."""
    await migrate(dsn)
    store = ClickHouse(parse_address(url))
    connection = await asyncpg.connect(dsn)
    owners = [uuid4() for _ in range(_ORGANIZATIONS)]
    begun = time.monotonic()
    await fill(connection, rows, owners)
    print(f"{rows} rows are in PostgreSQL after {time.monotonic() - begun:.1f} s")
    here = await timed(POSTGRES, connection, owners[0])
    begun = time.monotonic()
    await turn_on(dsn, store)
    print(f"adopted in {time.monotonic() - begun:.1f} s: {await left(connection)}")
    begun = time.monotonic()
    while await send_next(connection, store):
        pass
    took = time.monotonic() - begun
    print(f"sent in {took:.1f} s: {rows / took:.0f} rows/s")
    assert (await store.rows("select count(), uniqExact(id) from request_log", seconds=60)) == [[rows, rows]]
    size = (await store.rows("select sum(bytes_on_disk) from system.parts where active and table = 'request_log'"))[0][
        0
    ]
    tables = "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'request_log'::regclass"
    print(f"bytes for a row: PostgreSQL {await connection.fetchval(tables) / rows:.0f}, ClickHouse {size / rows:.0f}")
    await connection.execute("truncate request_log")
    there = await timed(ClickHouseLogs(store), connection, owners[0])
    print("| search | PostgreSQL, ms | ClickHouse, ms |\n|---|---|---|")
    for name, milliseconds in here.items():
        print(f"| {name} | {milliseconds:.0f} | {there[name]:.0f} |")
    await connection.close()
    await store.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServices(Path(folder) / "data") as services,
        clickhouse_server() as server,
    ):
        asyncio.run(run(services.database_url, server.url("drill"), rows))


if __name__ == "__main__":
    main()

"""`python -m tests.drills.spend`: credits buy exactly what they say, on 4 workers, whoever is killed.

Calls of 0.10 on a balance of 5.00: of 1,000 at once exactly 50 are served, as the upstream counts them, the balance is 0
and the ledger adds up; ten times, with leases cold and warm. Then the same operation is called for some seconds while a
worker is killed every second: the ledger says what the log rows say, each answer that came is in it, nothing is held.
And two customers spend 5.00 each while Redis is wiped and every connection of the gateway to PostgreSQL is cut.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import redis.asyncio

from domain import keys, organizations
from domain.credits.granting import grant
from domain.credits.reconciling import reconcile
from domain.settings import KeySettings
from loadtests.installation import Gateway, Installation, installation
from loadtests.processes import worker_pids
from loadtests.raw_client import Address, BrokenAnswerError, Connection
from tests.drills.outcome import Outcome, arguments, tell
from tests.wire.upstream import RecordingUpstream

WORKERS, CALLS, WARMING = 4, 1_000, 10
MICRO = 1_000_000
PRICE, BALANCE = MICRO // 10, 5 * MICRO
REST_SECONDS = 30.0
_HELD = "select balance_micro, leased_micro, reserved_micro, usage_micro from credit_account where organization_id = $1"
_CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and application_name like 'paid-endpoint%'
"""
_ROWS = "select count(*) filter (where cost_micro > 0), coalesce(sum(cost_micro), 0)::bigint from request_log"


@dataclass(frozen=True, slots=True)
class Customer:
    """`mark` is in the path of each of its requests."""

    id: UUID
    key: str
    mark: str


@dataclass(frozen=True, slots=True)
class Market:
    """One gateway, one priced operation, one upstream that counts."""

    made: Installation
    gateway: Gateway
    upstream: RecordingUpstream
    prefix: str

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.gateway.port, self.prefix)

    def served(self, customer: Customer) -> int:
        """Requests that reached the upstream whole."""
        return sum(record.state == "whole" and customer.mark in record.target for record in self.upstream.records)

    async def customer(self, database: asyncpg.Connection, micro: int) -> Customer:
        settings = KeySettings(peppers=self.made.settings["KEY_PEPPERS"])  # type: ignore[arg-type]
        mark = uuid4().hex[:12]
        made = await organizations.create(database, name=f"spend {mark}", plan_slug=f"spend-{self.prefix[7:]}")
        key = await keys.create(database, settings, organization_id=made.id, name="spend")
        await grant(database, made.id, amount_micro=micro, reason="drill")
        return Customer(made.id, key.plaintext, mark)


@contextmanager
def market(made: Installation) -> Iterator[Market]:
    """Set it up in an installation."""
    mark = uuid4().hex[:8]
    upstream = RecordingUpstream().start()
    made.plan(f"spend-{mark}", ["1000000000/hour"])
    made.service(f"spend-{mark}", f"/spend-{mark}", f"http://127.0.0.1:{upstream.port}")
    made.command("operations", "create", f"spend-{mark}", "--method", "GET", "--path", "/*", "--name", "all",
                 "--credits", "0.10", "--json")  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(upstream.stop)
        env = {"GATEWAY_STATE_DIR": str(made.folder / f"state-{mark}"), "REDIS_TIMEOUT_MS": "2000"}
        gateway = made.gateway(workers=WORKERS, env=env)
        stack.enter_context(gateway.process)
        made.until_ready(gateway)
        yield Market(made, gateway, upstream, f"/spend-{mark}")


async def burst(where: Market, customer: Customer, calls: int) -> dict[int, int]:
    """So many requests at once, each on a connection of its own: how many of each status."""
    begin, statuses = asyncio.Event(), {}

    async def ask() -> None:
        async with Connection(where.address, customer.key) as connection:
            ready.append(1)
            await begin.wait()
            status = (await connection.request(f"/{customer.mark}")).status
            statuses[status] = statuses.get(status, 0) + 1

    ready: list[int] = []
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(ask())
            if not number % 50:
                await asyncio.sleep(0)
        while len(ready) < calls:
            await asyncio.sleep(0.01)
        begin.set()
    return statuses


async def at_rest(database: asyncpg.Connection, customer: Customer) -> tuple[int, int, int, int]:
    """The account once nothing is held, or what it is after a while; then `broken` will say so."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        row = await database.fetchrow(_HELD, customer.id)
        assert row is not None
        if not (row["leased_micro"] or row["reserved_micro"]) or time.monotonic() > deadline:
            return tuple(row)
        await asyncio.sleep(0.05)


async def exact(where: Market, rounds: int, *, warm: bool) -> Outcome:
    """The burst, `rounds` times. Warm: all workers have served this customer a moment before."""
    lines, broken = [], []
    database = await asyncpg.connect(where.made.databases.database_url)
    try:
        for number in range(1, rounds + 1):
            before = WARMING if warm else 0
            customer = await where.customer(database, BALANCE + before * PRICE)
            if warm:
                await burst(where, customer, before)
            begun = time.monotonic()
            statuses = await burst(where, customer, CALLS)
            seconds = time.monotonic() - begun
            served = where.served(customer) - before
            balance, leased, reserved, usage = await at_rest(database, customer)
            drifts = [d for d in (await reconcile(database)).drifts if d.organization_id == customer.id]
            lines.append((str(number), str(served), str(statuses), f"{balance / MICRO:g}", f"{seconds:.2f}"))
            good = served == statuses.get(200, 0) == BALANCE // PRICE and usage == BALANCE + before * PRICE
            broken += [] if good else [f"round {number}: {served} served, answered {statuses}, usage {usage}"]
            broken += [f"round {number}: {balance} left, {leased} leased"] if balance or leased or reserved else []
            broken += [f"round {number}: {drift}" for drift in drifts]
            broken += [f"round {number}: statuses {statuses}"] if statuses.keys() - {200, 402} else []
    finally:
        await database.close()
    head = ("round", "served, by the upstream", "answers by status", "balance", "seconds")
    return Outcome(f"{CALLS} calls of 0.10 on 5.00, leases {'warm' if warm else 'cold'}", head, lines, broken)


async def killed(where: Market, seconds: float) -> Outcome:
    """Callers on many connections while a worker is killed every second."""
    database = await asyncpg.connect(where.made.databases.database_url)
    try:
        customer = await where.customer(database, 1_000 * MICRO)
        good, victims = await _spend_while_killing(where, customer, seconds)
        balance, leased, reserved, usage = await at_rest(database, customer)
        rows, cost = await database.fetchrow(f"{_ROWS} where organization_id = $1", customer.id)
        drifts = [d for d in (await reconcile(database)).drifts if d.organization_id == customer.id]
    finally:
        await database.close()
    served = where.served(customer)
    broken = [f"{leased} leased and {reserved} reserved are left"] if leased or reserved else []
    broken += [f"usage {usage}, rows {cost}"] if usage != cost else []
    broken += [f"balance {balance} after a usage of {usage}"] if balance != 1_000 * MICRO - usage else []
    broken += (
        [f"{good} answers came, {rows} rows are charged, {served} were served"] if not good <= rows <= served else []
    )
    broken += [str(drift) for drift in drifts]
    broken += ["nothing was served"] if not good else []
    head = ("answers that came", "rows charged", "served, by the upstream", "kills", "balance")
    line = (str(good), str(rows), str(served), str(len(victims)), f"{balance / MICRO:g}")
    return Outcome("priced calls while a worker is killed every second", head, [line], broken)


async def _spend_while_killing(where: Market, customer: Customer, seconds: float) -> tuple[int, list[int]]:
    end, good, victims = time.monotonic() + seconds, 0, []

    async def call() -> None:
        nonlocal good
        connection = Connection(where.address, customer.key)
        while time.monotonic() < end:
            try:
                if connection.closed_by_server:
                    connection.close()
                    await connection.open()
                status = (await connection.request(f"/{customer.mark}")).status
                good += status == 200
            except BrokenAnswerError:
                await asyncio.sleep(0.01)
            await asyncio.sleep(random.random() * 0.02)
        connection.close()

    async def kill() -> None:
        while time.monotonic() < end - 1:
            await asyncio.sleep(1)
            pids = [pid for pid in worker_pids(where.gateway.process.pid) if pid not in victims]
            if pids:
                victims.append(random.choice(pids))
                os.kill(victims[-1], signal.SIGKILL)

    await asyncio.gather(kill(), *(call() for _ in range(32)))
    return good, victims


async def shaken(where: Market, rounds: int) -> Outcome:
    """Two customers spend all they have, while Redis is wiped and the gateway's connections to PostgreSQL are cut."""
    lines, broken = [], []
    database = await asyncpg.connect(where.made.databases.database_url)
    try:
        for number in range(1, rounds + 1):
            customers = [await where.customer(database, BALANCE) for _ in range(2)]
            cut, *asked = await asyncio.gather(_shake(where, database), *(_until_dry(where, one) for one in customers))
            for customer, (good, undecided) in zip(customers, asked, strict=True):
                served = where.served(customer)
                balance, leased, reserved, usage = await at_rest(database, customer)
                lines.append((str(number), str(served), str(good), str(undecided), str(cut), f"{balance / MICRO:g}"))
                if (served, balance, leased, reserved, usage) != (BALANCE // PRICE, 0, 0, 0, BALANCE):
                    broken.append(f"round {number}: {served} served, {balance} left, {leased} leased, usage {usage}")
            mine = {customer.id for customer in customers}
            broken += [str(drift) for drift in (await reconcile(database)).drifts if drift.organization_id in mine]
    finally:
        await database.close()
    head = ("round", "served, by the upstream", "answers of 200", "503 meanwhile", "connections cut", "balance")
    return Outcome("two customers, Redis wiped and PostgreSQL's connections cut while they spend", head, lines, broken)


async def _shake(where: Market, database: asyncpg.Connection) -> int:
    """Wipe Redis once, cut every connection of the gateway twice; how many were cut."""
    cut = 0
    for _ in range(2):
        await asyncio.sleep(0.15)
        cut += len(await database.fetch(_CUT))
        async with redis.asyncio.Redis.from_url(where.made.databases.redis_url) as client:
            await client.flushdb()
    return cut


async def _until_dry(where: Market, customer: Customer) -> tuple[int, int]:
    """Ask on many connections until each is refused with 402: answers of 200 and of 503."""
    counts = {200: 0, 402: 0, 503: 0}

    async def ask() -> None:
        async with Connection(where.address, customer.key) as connection:
            while True:
                status = (await connection.request(f"/{customer.mark}")).status
                counts[status] += 1
                if status == 402:
                    return
                await asyncio.sleep(0.05 if status == 200 else 0.2)

    await asyncio.gather(*(ask() for _ in range(8)))
    return counts[200], counts[503]


async def everything(where: Market, rounds: int, seconds: float) -> list[Outcome]:
    """All four."""
    return [
        await exact(where, rounds, warm=False),
        await exact(where, rounds, warm=True),
        await killed(where, seconds),
        await shaken(where, rounds),
    ]


def main() -> int:
    """See the module."""
    parser = arguments("spend", __doc__ or "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with installation() as made, market(made) as where:
        return tell(asyncio.run(everything(where, options.rounds, options.seconds)), options)


if __name__ == "__main__":
    sys.exit(main())

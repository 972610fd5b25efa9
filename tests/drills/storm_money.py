"""Money in a storm: what the parties own, a cashier who grants and refunds meanwhile, and the audit of R2, R4, R6, L8-L11.

The cashier repeats what got no answer under the same idempotency key until it has one, as a payment provider would.
"""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from domain import operations
from domain.credits.granting import grant
from domain.credits.reconciling import Reconciliation, reconcile
from domain.credits.refunding import NotRefundable, refund
from domain.faults import Fault
from schema.credits import EntryType
from tests.drills.evidence import Evidence, write

PRICES = {"get": 1_000, "post": 2_000, "events": 10_000, "download": 20_000, "upload": 50_000}
"""By operation, in micro-credits; `upload` is reserved and its upstream reports what it really cost."""
METHODS = {"get": "GET", "post": "POST", "events": "GET", "download": "GET", "upload": "PUT"}
RICH_MICRO, POOR_MICRO = 1_000_000_000_000, 100_000
LEAST_REPORTED = 10_000
PAUSE_SECONDS, PATIENCE_SECONDS = 0.3, 60.0

ROWS = """
select l.id::text, o.slug as organization, p.name as operation, l.status, l.outcome, l.cost_micro, l.bytes_in
  from request_log l join organization o on o.id = l.organization_id left join operation p on p.id = l.operation_id
"""
ACCOUNTS = """
select o.slug as organization, a.balance_micro, a.leased_micro, a.reserved_micro, a.usage_micro,
       a.purchases_micro + a.bonuses_micro + a.adjustments_micro - a.expiries_micro as granted_micro
  from credit_account a join organization o on o.id = a.organization_id
"""
KEYED = """
select idempotency_key as key, type, amount_micro, count(*) over (partition by idempotency_key) as times
  from credit_entry where idempotency_key like 'cashier-%'
"""
USAGE = """
select o.slug as organization, sum(e.amount_micro)::bigint as amount, sum(e.requests)::bigint as requests
  from credit_entry e join organization o on o.id = e.organization_id where e.type = 'usage' group by 1
"""


@dataclass(slots=True)
class Payment:
    """Something that the cashier did, once."""

    key: str
    type: str
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Money:
    """What the database says of money, once nobody asks any more."""

    rows: list[Any]
    accounts: list[Any]
    keyed: list[Any]
    usage: list[Any]
    held: int
    reconciliation: Reconciliation

    @classmethod
    async def of(cls, connection: Any) -> "Money":
        """Read it."""
        return cls(
            *[await connection.fetch(query) for query in (ROWS, ACCOUNTS, KEYED, USAGE)],
            await connection.fetchval("select count(*) from credit_reservation where state = 'held'"),
            await reconcile(connection),
        )


async def furnish_money(connection: Any, service_slug: str, owners: list[UUID], poor: UUID, *, reserved: bool) -> None:
    """Price the storm's operations, and give everybody credits: nobody but the poor party runs out."""
    for name, price in PRICES.items():
        await operations.create(
            connection, service_slug=service_slug, method=METHODS[name], path_pattern=f"/{name}", name=name,
            price_micro=price, reserved=reserved and name == "upload",
        )  # fmt: skip
    for owner in owners:
        amount = POOR_MICRO if owner == poor else RICH_MICRO
        await grant(connection, owner, amount_micro=amount, reason="for the storm", type=EntryType.PURCHASE)


def reported_micro(size: int) -> int:
    """What the storm's upstream says that an upload of so many bytes costs."""
    return LEAST_REPORTED + size // 64 % 1_000


# -- the cashier


@contextmanager
def cashier(database_url: str, folder: Path, seed: int, rich: list[str], poor: str) -> Iterator[None]:
    """Grants and refunds, from the beginning of the block to its end, in a thread of its own."""
    stop = threading.Event()
    work = _Cashier(database_url, folder, random.Random(f"cashier {seed}"), rich, poor)
    thread = threading.Thread(target=lambda: asyncio.run(work.run(stop)), name="cashier")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass(slots=True)
class _Cashier:
    database_url: str
    folder: Path
    chance: random.Random
    rich: list[str]
    poor: str
    known: dict[str, UUID] = field(default_factory=dict)

    async def run(self, stop: threading.Event) -> None:
        with (self.folder / "payments.jsonl").open("a") as log:
            while not stop.wait(PAUSE_SECONDS):
                with contextlib.suppress(Fault):
                    done = await self._once(f"cashier-{uuid4().hex}", self.chance.random())
                    if done is not None:
                        write(log, done)

    async def _once(self, key: str, which: float) -> Payment | None:
        """One change, repeated under its key until the database has answered."""
        deadline, entry = time.monotonic() + PATIENCE_SECONDS, None
        while True:
            try:
                async with self._connection() as connection:
                    if which < 0.5:
                        entry = entry or await self._refundable(connection)
                        return await self._refund(connection, key, entry)
                    return await self._grant(connection, key, which)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def _connection(self):
        connection = await asyncpg.connect(self.database_url, timeout=5, command_timeout=10)
        try:
            yield connection
        finally:
            connection.terminate()

    async def _refundable(self, connection: Any) -> tuple[UUID, int] | None:
        row = await connection.fetchrow(
            "select e.id, e.amount_micro from credit_entry e join organization o on o.id = e.organization_id"
            " where e.type = 'usage' and o.slug = any($1::text[]) order by random() limit 1",
            self.rich,
        )
        return None if row is None else (row["id"], row["amount_micro"])

    async def _refund(self, connection: Any, key: str, entry: tuple[UUID, int] | None) -> Payment | None:
        if entry is None or entry[1] < 4:
            return None
        try:
            await refund(
                connection, entry[0], amount_micro=entry[1] // 4, reason="storm", actor="cashier", idempotency_key=key
            )
        except NotRefundable:
            return None  # most of this entry has gone back already
        return Payment(key, "refund", entry[1] // 4)

    async def _grant(self, connection: Any, key: str, which: float) -> Payment:
        if self.poor not in self.known:
            self.known[self.poor] = await connection.fetchval("select id from organization where slug = $1", self.poor)
        kind = EntryType.BONUS if which < 0.75 else EntryType.PURCHASE
        amount = 4_000 + int(which * 1_000)
        await grant(
            connection, self.known[self.poor], amount_micro=amount, reason="storm", type=kind, actor="cashier",
            idempotency_key=key,
        )  # fmt: skip
        return Payment(key, str(kind), amount)


# -- the audit


def audit_money(evidence: Evidence, money: Money, folder: Path) -> list[str]:
    """Which promises about money did not hold, in words."""
    broken = [
        f"G10: {drift.what} of {drift.organization}: {drift.found} instead of {drift.expected}"
        for drift in money.reconciliation.drifts
    ]
    broken += [f"R3: {money.held} reservations are held for nobody"] if money.held else []
    broken += [
        f"L8: {row['leased_micro']} leased, {row['reserved_micro']} reserved of {row['organization']} by nobody"
        for row in money.accounts
        if row["leased_micro"] or row["reserved_micro"]
    ]
    broken += _charged(money)
    broken += _served(evidence, money)
    broken += _paid(money, folder)
    return broken


def due(row: Any) -> int:
    """What a row has to cost, by the published table (`charge_on` is success)."""
    if row["operation"] is None or not 200 <= row["status"] < 400 or row["outcome"] not in {"served", "gone"}:
        return 0
    if row["operation"] == "upload":
        return reported_micro(row["bytes_in"])
    return PRICES[row["operation"]]


def _charged(money: Money) -> Iterator[str]:
    """R2: a row that has to cost something does, and nothing else does; the ledger has posted exactly the rows."""
    spent, number = Counter[str](), Counter[str]()
    for row in money.rows:
        if row["cost_micro"] != due(row):
            yield f"R2: {dict(row)} should cost {due(row)}"
        spent[row["organization"]] += row["cost_micro"]
        number[row["organization"]] += row["cost_micro"] > 0
    posted = {row["organization"]: (row["amount"], row["requests"]) for row in money.usage}
    for organization in spent.keys() | posted.keys():
        wanted = spent[organization], number[organization]
        if posted.get(organization, (0, 0)) != wanted:
            yield f"L10: posted of {organization}: {posted.get(organization)}; its rows cost {wanted}"
    for row in money.accounts:
        if spent[row["organization"]] > row["granted_micro"] + _refunded(row, spent):
            yield f"R4: {row['organization']} spent {spent[row['organization']]} of {row['granted_micro']}"


def _refunded(row: Any, spent: Counter[str]) -> int:
    """Usage that went back to its owner and may have been spent again."""
    return spent[row["organization"]] - int(row["usage_micro"])


def _served(evidence: Evidence, money: Money) -> Iterator[str]:
    """Served = charged, to the request, as callers saw it."""
    costs = {row["id"]: row for row in money.rows}
    for seen in evidence.sightings:
        row = costs.get(seen.request_id)
        if row is None or row["operation"] is None:
            continue
        if seen.whole and seen.status == 200 and not row["cost_micro"]:
            yield f"R2: {seen.request_id} was served whole and not charged"
        if seen.status >= 400 and row["cost_micro"]:
            yield f"R2: {seen.request_id} was answered with {seen.status} and charged"


def _paid(money: Money, folder: Path) -> Iterator[str]:
    """R6: what the cashier did is there once, whatever died meanwhile; nothing else is."""
    path = folder / "payments.jsonl"
    done = [Payment(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    found = {row["key"]: row for row in money.keyed}
    for payment in done:
        row = found.get(payment.key)
        if row is None or row["times"] != 1 or row["amount_micro"] != payment.amount_micro:
            yield f"R6: {asdict(payment)} is in the ledger as {row and dict(row)}"


def describe(evidence: Evidence, money: Money) -> list[str]:
    """The figures, a line each."""
    by_organization: dict[str, Counter[str]] = defaultdict(Counter)
    for row in money.rows:
        counts = by_organization[row["organization"]]
        counts["charged"] += row["cost_micro"] > 0
        counts["micro"] += row["cost_micro"]
        counts["402"] += row["status"] == 402
    found = money.reconciliation
    lines = [
        (
            f"credits: {found.accounts} accounts, {found.entries} entries, {found.usage_entries_checked} of"
            f" {found.usage_entries} usage entries checked against their rows, {len(money.keyed)} payments,"
            f" drifts: {len(found.drifts)}"
        )
    ]
    for row in sorted(money.accounts, key=lambda one: one["organization"]):
        counts = by_organization[row["organization"]]
        lines.append(
            f"credits of {row['organization']}: {counts['charged']} requests charged {counts['micro']}, 402: {counts['402']},"
            f" granted {row['granted_micro']}, balance {row['balance_micro']}, leased {row['leased_micro']}"
        )
    whole = sum(seen.whole and seen.status == 200 for seen in evidence.sightings)
    lines.append(
        f"credits: {whole} answers of 200 seen whole, {sum(row['cost_micro'] > 0 for row in money.rows)} rows charged"
    )
    return lines

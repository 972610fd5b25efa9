"""A process that moves money at random, writes down what it is about to do and what came of it, and may die at any moment.

Started again under its number, it first repeats what it had begun and has no outcome of, as a client would.
"""

import asyncio
import json
import os
import random
from collections import Counter
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from domain.credits.accounts import fetch_balance
from domain.credits.adjusting import adjust
from domain.credits.expiring import expire_all, expire_due
from domain.credits.granting import grant
from domain.credits.posting import lock_accounts
from domain.credits.refunding import refund
from domain.faults import Conflict
from schema.credits import EntryType
from tests.credits.holding import charge, hold, lend, settle, take_back

GATE = 4_711
"""Advisory lock at which all clerks wait before a round; whoever orders the round opens it."""

TABLE = "create table clerk_position (holder_id uuid primary key, charged bigint not null, requests bigint not null)"
_MOVE = """
insert into clerk_position as p values ($1, $2, $3)
on conflict (holder_id) do update set charged = p.charged + excluded.charged, requests = p.requests + excluded.requests
"""
_ANY_ENTRY = """
select id from credit_entry where organization_id = $1 and type in ('purchase', 'usage') order by random() limit 1
"""
_LEASES = """
select organization_id, amount_micro - spent_micro - returned_micro as unspent from credit_lease
 where holder_id = $1 and amount_micro > spent_micro + returned_micro
"""
_HELD = "select id, amount_micro from credit_reservation where organization_id = $1 and state = 'held' limit 5"

EVENTS = 400
"""Payments that several clerks hear of: each is to count once. Its number says what was paid."""


def event_amount(number: int) -> int:
    return 100 + number * 7 % 300


class Journal:
    """What one clerk did: one JSON object a line, written at once, so that a kill loses nothing."""

    def __init__(self, path: Path) -> None:
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, **line: Any) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())
        self.lines.append(line)

    def pending(self) -> dict[str, Any] | None:
        """What was begun last, if nothing came of it."""
        return self.lines[-1]["ask"] if self.lines and "ask" in self.lines[-1] else None


class Clerk:
    """One process's work."""

    def __init__(self, connection: Any, holder: UUID, owners: list[UUID], journal: Journal, seed: str) -> None:
        self.connection, self.holder, self.owners, self.journal = connection, holder, owners, journal
        self.random = random.Random(f"{seed} {len(journal.lines)}")
        self.counts: Counter[str] = Counter()

    async def recover(self) -> None:
        """Repeat what has no outcome."""
        pending = self.journal.pending()
        if pending is not None:
            self.counts[f"after a kill: {await self.carry_out(pending)}"] += 1

    async def step(self) -> None:
        """One thing, chosen at random."""
        owner = self.random.choice(self.owners)
        work = self.random.choices(
            [self.ask, self.lend, self.charge, self.take_back, self.reserve, self.settle, self.sweep],
            [8, 4, 5, 1, 2, 2, 1],
        )[0]
        await work(owner)

    async def ask(self, owner: UUID) -> None:
        """Something that is written down first and counts once, however often it is repeated."""
        key = f"{self.holder.hex[:8]}-{len(self.journal.lines)}"
        kind = self.random.choice(["pay", "pay", "event", "gift", "correct", "refund", "refund"])
        amount, of = self.random.randint(1, 300), None
        if kind == "event":
            number = self.random.randrange(EVENTS)
            key, amount, owner = f"event-{number}", event_amount(number), self.owners[number % len(self.owners)]
        elif kind == "correct":
            amount = self.random.choice([-1, 1]) * amount
        elif kind == "refund":
            of = await self.connection.fetchval(_ANY_ENTRY, owner)
            if of is None:
                return
        asked = {"kind": kind, "owner": str(owner), "amount": amount, "key": key, "of": of and str(of)}
        self.journal.write(ask=asked)
        self.counts[f"{kind} {await self.carry_out(asked)}"] += 1

    async def carry_out(self, asked: dict[str, Any]) -> str:
        owner, amount, key = UUID(asked["owner"]), asked["amount"], asked["key"]
        words = {"reason": asked["kind"], "idempotency_key": key}
        try:
            if asked["kind"] in {"pay", "event"}:
                booked = await grant(
                    self.connection, owner, amount_micro=amount, type=EntryType.PURCHASE, reference=key, **words
                )
            elif asked["kind"] == "gift":
                span = timedelta(milliseconds=50 + amount)
                booked = await grant(self.connection, owner, amount_micro=amount, expires_in=span, **words)
            elif asked["kind"] == "correct":
                booked = await adjust(self.connection, owner, amount_micro=amount, **words)
            else:
                booked = await refund(self.connection, UUID(asked["of"]), amount_micro=amount, **words)
        except Conflict as fault:
            self.journal.write(outcome=fault.code, key=key)
            return fault.code
        self.journal.write(
            outcome="done", key=key, entry=str(booked.entry.id), amount=booked.entry.amount_micro, owner=str(owner)
        )
        return "replayed" if booked.replayed else "done"

    async def lend(self, owner: UUID) -> None:
        async with self.connection.transaction():
            account = (await lock_accounts(self.connection, [owner]))[owner]
            expired = sum(entry.amount_micro for entry in await expire_due(self.connection, [owner]))
            left = account.available_micro - expired
            amount = self.random.randint(1, max(1, left + left // 10))
            done = await lend(self.connection, owner, self.holder, amount)
            assert done == (amount <= left), "the account is locked"
        self.counts[f"lend {'done' if done else 'refused'}"] += 1

    async def charge(self, owner: UUID) -> None:
        """Requests of several organizations, out of what this clerk was lent, in whatever order it comes."""
        unspent = {row["organization_id"]: row["unspent"] for row in await self.connection.fetch(_LEASES, self.holder)}
        chosen = self.random.sample(list(unspent), self.random.randint(0, len(unspent)))
        costs = {owner: [self.random.randint(1, unspent[owner])] for owner in chosen}
        for amounts in costs.values():
            if amounts[0] > 1:
                part = self.random.randint(1, amounts[0] - 1)
                amounts[:] = [amounts[0] - part, part]
        if not costs:
            return
        async with self.connection.transaction():
            await charge(self.connection, self.holder, costs)
            total = sum(map(sum, costs.values()))
            await self.connection.execute(_MOVE, self.holder, total, sum(map(len, costs.values())))
        self.counts["batch of requests"] += 1

    async def take_back(self, owner: UUID) -> None:
        done = await take_back(self.connection, owner, self.holder, self.random.randint(1, 50))
        self.counts[f"take back {'done' if done else 'refused'}"] += 1

    async def reserve(self, owner: UUID) -> None:
        made = await hold(self.connection, owner, self.holder, self.random.randint(1, 60))
        self.counts[f"reserve {'refused' if made is None else 'done'}"] += 1

    async def settle(self, owner: UUID) -> None:
        """Anybody's reservation, perhaps one that another clerk ends at this moment."""
        held = await self.connection.fetch(_HELD, owner)
        if held:
            row = self.random.choice(held)
            cost = self.random.choice([0, row["amount_micro"], self.random.randint(1, row["amount_micro"])])
            async with self.connection.transaction():
                done = await settle(self.connection, owner, row["id"], cost)
                if done and cost:
                    await self.connection.execute(_MOVE, self.holder, cost, 1)
            self.counts[f"settle {'done' if done else 'ended before'}"] += 1

    async def sweep(self, owner: UUID) -> None:
        self.counts["expired grants"] += len(await expire_all(self.connection, most=10))
        assert (await fetch_balance(self.connection, owner)).available_micro >= 0


def run(database_url: str, holder: UUID, owners: list[UUID], folder: str, seed: str, orders: Connection) -> None:
    """A clerk's process: recovers, then does a number of steps for each order, until it is told 0."""
    asyncio.run(_run(database_url, holder, owners, Path(folder) / f"{holder}.jsonl", seed, orders))


async def _run(database_url: str, holder: UUID, owners: list[UUID], path: Path, seed: str, orders: Connection) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "clerk"})
    clerk = Clerk(connection, holder, owners, Journal(path), seed)
    await clerk.recover()
    orders.send(clerk.counts)
    while steps := await asyncio.to_thread(orders.recv):
        clerk.counts = Counter()
        await connection.execute(f"select pg_advisory_lock_shared({GATE})")
        await connection.execute(f"select pg_advisory_unlock_shared({GATE})")
        for _ in range(steps):
            await clerk.step()
        orders.send(clerk.counts)
    await connection.close()

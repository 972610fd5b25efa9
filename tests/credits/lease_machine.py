"""Leases and reservations as a state machine: workers spend, are recalled, lose answers, die; an oracle keeps the sums.

The workers' arithmetic is `domain.credits.wallet`, their calls go to PostgreSQL one by one, and Hypothesis says which of
them arrive, which answers are lost, and which arrive only after their worker is dead or its journal closed (L8 to L11).
Nothing of it knows Redis, so wiping that changes nothing (L14).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.credits.leasing import Ask, HolderClosed, grant
from domain.credits.reconciling import reconcile
from domain.credits.reservations import Reservation, expire_overdue, hold
from domain.credits.wallet import Wait, Wallet
from domain.ingesting.batches import Batch, Place
from domain.ingesting.positions import BEGINNING, CLOSED, Move, Position, read_positions
from domain.ingesting.storing import store
from tests.integration.domain.credits.accounts import bonus, new_organizations, posted
from tests.journals import dimensions, record

WORKERS, OWNERS = 3, 2
WHO, WHOSE = st.integers(0, WORKERS - 1), st.integers(0, OWNERS - 1)
PRICES = st.integers(1, 40) | st.integers(1, 5)
FATES = st.sampled_from(["arrives", "arrives", "answer lost, asked again", "answer lost", "never sent"])
SELDOM = st.integers(0, 5)
FAR = timedelta(hours=1)
NODE = uuid4()
HELD = """
select a.balance_micro, a.leased_micro, a.reserved_micro, a.usage_micro from credit_account a where organization_id = $1
"""
UNSPENT = """
select amount_micro - spent_micro - returned_micro from credit_lease where holder_id = $1 and organization_id = $2
"""


@dataclass
class Process:
    """One worker's life. `journal` survives it. `reserved` is under way, `held` was ever asked for."""

    holder: UUID = field(default_factory=uuid4)
    wallets: dict[UUID, Wallet] = field(default_factory=dict)
    running: list[tuple[UUID, int]] = field(default_factory=list)
    reserved: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    held: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    journal: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    position: Position = BEGINNING

    def wallet(self, owner: UUID) -> Wallet:
        if owner not in self.wallets:
            self.wallets[owner] = Wallet(owner, lambda wallet: None)
        return self.wallets[owner]


def machine(database_url: str, steps: Counter[str]) -> type[RuleBasedStateMachine]:
    """The state machine on this database; `steps` counts what was done."""

    class Leases(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.connection: Any = None
            self.owners: list[UUID] = []
            self.living: list[Process] = []
            self.dead: list[Process] = []
            self.granted: Counter[UUID] = Counter()
            self.charged: Counter[UUID] = Counter()
            self.calls = 0

        def run(self, work: Any) -> Any:
            return self.loop.run_until_complete(work)

        def did(self, what: str) -> None:
            steps[what] += 1

        @initialize(given=st.lists(st.integers(1, 2_000), min_size=OWNERS, max_size=OWNERS))
        def begin(self, given: list[int]) -> None:
            self.connection = self.run(asyncpg.connect(database_url))
            self.owners = self.run(new_organizations(self.connection, OWNERS))
            self.living = [Process() for _ in range(WORKERS)]
            for number, amount in enumerate(given):
                self.top_up(number, amount)

        @rule(whose=WHOSE, amount=st.integers(1, 100))
        def top_up(self, whose: int, amount: int) -> None:
            self.run(posted(self.connection, bonus(self.owners[whose], amount)))
            self.granted[self.owners[whose]] += amount

        # -- what requests do

        @rule(who=WHO, whose=WHOSE, prices=st.lists(PRICES, min_size=1, max_size=4), fate=FATES)
        def request(self, who: int, whose: int, prices: list[int], fate: str) -> None:
            """Some requests; those that find nothing wait, and the worker asks."""
            process, owner = self.living[who], self.owners[whose]
            wallet = process.wallet(owner)
            for price in prices:
                if wallet.take(price):
                    self.did("served at once")
                    process.running.append((owner, price))
                else:
                    wallet.waiting.append(Wait(price, self.loop.create_future()))
            if wallet.waiting:
                self.call(process, owner, fate)

        @rule(who=WHO, shares=st.lists(st.integers(0, 3), min_size=1, max_size=4))
        def answer(self, who: int, shares: list[int]) -> None:
            process = self.living[who]
            for share in shares:
                if process.running:
                    owner, price = process.running.pop()
                    cost = price * share // 3
                    process.wallet(owner).settle(price, cost)
                    self.note(process, uuid4(), owner, cost)
                    self.collect(process)

        def note(self, process: Process, request_id: UUID, owner: UUID, cost: int) -> None:
            process.journal.append((request_id, owner, cost))
            self.charged[owner] += cost

        def collect(self, process: Process) -> None:
            """Who waited and was served runs now: `land` and `settle` have taken for it."""
            for owner, wallet in process.wallets.items():
                missing = wallet.held - sum(price for whose, price in process.running if whose == owner)
                if missing:
                    self.did("served after waiting")
                    process.running.append((owner, missing))

        # -- calls

        def call(self, process: Process, owner: UUID, fate: str) -> None:
            """Ask the ledger. The same ask is made again after a lost answer, now or with the next one."""
            self.calls += 1
            wallet = process.wallet(owner)
            ask = wallet.ask(self.calls)
            assert ask is not None
            if fate == "never sent":
                return
            (answer,) = self.run(grant(self.connection, process.holder, [ask]))
            self.did("call")
            if fate == "answer lost":
                self.did("call whose answer lost")
                return
            if fate == "answer lost, asked again":
                (again,) = self.run(grant(self.connection, process.holder, [wallet.ask(self.calls + 1)]))
                self.did("asked again")
                assert (again.granted, again.returned) == (answer.granted, answer.returned)
                answer = again
            wallet.land(answer)
            self.collect(process)

        @rule(who=WHO, whose=WHOSE, fate=FATES)
        def renew(self, who: int, whose: int, fate: str) -> None:
            self.call(self.living[who], self.owners[whose], fate)

        @rule(who=WHO, whose=WHOSE, fate=FATES)
        def recall(self, who: int, whose: int, fate: str) -> None:
            process, owner = self.living[who], self.owners[whose]
            wallet = process.wallet(owner)
            if wallet.left > 0 or wallet.call is not None:
                self.did("recalled")
                wallet.returning = True
                self.call(process, owner, fate)

        @rule(who=WHO, whose=WHOSE, amount=PRICES, fate=FATES)
        def reserve(self, who: int, whose: int, amount: int, fate: str) -> None:
            process, owner = self.living[who], self.owners[whose]
            wanted = Reservation(uuid4(), owner, None, amount, datetime.now(UTC) + FAR)
            if fate == "never sent":
                return
            held = self.run(hold(self.connection, process.holder, wanted, recall=False))
            again = self.run(hold(self.connection, process.holder, wanted, recall=False))
            assert again.done == held.done
            if fate.startswith("answer lost"):
                process.held.append((wanted.id, owner, amount))
                self.note(process, wanted.id, owner, 0)  # 503: its record releases what it may hold
            elif held.done:
                self.did("reserved")
                process.reserved.append((wanted.id, owner, amount))
                process.held.append((wanted.id, owner, amount))

        @rule(who=WHO, share=st.integers(0, 2))
        def end_reserved(self, who: int, share: int) -> None:
            process = self.living[who]
            if process.reserved:
                request_id, owner, amount = process.reserved.pop(0)
                self.note(process, request_id, owner, amount * share // 2)

        # -- journals

        @rule(who=WHO, most=st.integers(1, 5))
        def ingest(self, who: int, most: int) -> None:
            self.store(self.living[who], most)

        @rule(which=st.integers(0, 10), most=st.integers(0, 5))
        def ingest_what_the_dead_left(self, which: int, most: int) -> None:
            if self.dead:
                process = self.dead[which % len(self.dead)]
                if process.position != CLOSED:
                    self.store(process, most, over=most >= len(process.journal))

        def store(self, process: Process, most: int, *, over: bool = False) -> None:
            taken, process.journal = process.journal[:most], process.journal[most:]
            reached = CLOSED if over else Position(1, process.position.offset + 1)
            records = [record(id_=i.bytes, dimensions=dimensions(o), cost_micro=cost) for i, o, cost in taken]
            places = [Place(process.holder, 1, at) for at in range(len(records))]
            batch = Batch(records, places, [Move(process.holder, process.position, reached)])
            self.run(read_positions(self.connection, [process.holder]))
            self.run(store(self.connection, batch, NODE))
            process.position = reached
            self.did("journal closed" if over else "batch stored")

        # -- ends

        @rule(who=WHO, chance=SELDOM)
        def kill(self, who: int, chance: int) -> None:
            if chance:
                return
            self.dead.append(self.living[who])
            self.living[who] = Process()
            self.did("killed")

        @rule(which=st.integers(0, 10))
        def call_of_a_dead_worker_arrives(self, which: int) -> None:
            if not self.dead:
                return
            process = self.dead[which % len(self.dead)]
            self.calls += 1
            asks = [wallet.call for wallet in process.wallets.values() if wallet.call is not None]
            asks = asks[:1] or [Ask(self.owners[0], self.calls, need=5, least=1, want=20)]
            try:
                self.run(grant(self.connection, process.holder, asks))
            except HolderClosed:
                assert process.position == CLOSED
                self.did("late call refused")
            else:
                assert process.position != CLOSED
                self.did("late call made")

        @rule()
        def sweep(self) -> None:
            assert self.run(expire_overdue(self.connection, datetime.now(UTC))) == 0

        # -- what must hold

        @invariant()
        def nobody_can_spend_what_was_not_lent(self) -> None:
            for owner in self.owners:
                balance, leased, reserved, _ = self.run(self.connection.fetchrow(HELD, owner))
                assert balance >= leased + reserved >= 0
                lent = 0
                for process in self.living + self.dead:
                    unspent = self.run(self.connection.fetchval(UNSPENT, process.holder, owner)) or 0
                    lent += unspent
                    wallet = process.wallets.get(owner)
                    if wallet is None or process in self.dead:
                        continue
                    # What it may spend, and what it has spent and is not posted, is lent to it (L8).
                    assert wallet.left + wallet.held + self.from_wallet(process, owner) <= unspent
                assert lent == leased
                assert self.charged[owner] <= self.granted[owner]

        def from_wallet(self, process: Process, owner: UUID) -> int:
            """Of what the wallet spent, what is not stored yet."""
            reserved = {request_id for request_id, _, _ in process.held}
            return sum(cost for i, whose, cost in process.journal if whose == owner and i not in reserved)

        def teardown(self) -> None:
            """Everybody dies; once every journal is stored nothing is held, and the books say what was charged."""
            if self.connection is None:
                self.loop.close()
                return
            try:
                for process in [*self.living, *self.dead]:
                    if process.position != CLOSED:
                        self.store(process, len(process.journal), over=True)
                for owner in self.owners:
                    balance, leased, reserved, usage = self.run(self.connection.fetchrow(HELD, owner))
                    assert (leased, reserved) == (0, 0)
                    assert usage == self.charged[owner]
                    assert balance == self.granted[owner] - usage
                drifts = self.run(reconcile(self.connection)).drifts
                assert [drift for drift in drifts if drift.organization_id in self.owners] == []
                self.did("quiesced")
            finally:
                self.run(self.connection.close())
                self.loop.close()

    return Leases

"""The ledger as a state machine: Hypothesis chooses what operators, gateways and ingesters do, the oracle judges it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.credits.adjusting import NotAvailable, adjust
from domain.credits.expiring import expire_all, expire_due
from domain.credits.granting import PRIORITIES, grant
from domain.credits.idempotency import KeyReused
from domain.credits.posting import lock_accounts, post
from domain.credits.reconciling import reconcile
from domain.credits.refunding import NotRefundable, refund
from schema.credits import EntryType
from tests.credits.holding import charge, hold, lend, settle, take_back
from tests.credits.judging import CHECKS, read
from tests.credits.oracle import Oracle
from tests.integration.domain.credits.accounts import bonus, lower, new_organizations

LONG_AGO, FAR = datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
AMOUNTS = st.integers(1, 60)
KEYS = st.sampled_from([None, None, "a", "b", "c", "d"])
WHICH = st.integers(0, 2)
SHARES = st.sampled_from([1, 30, 50, 50, 80, 100, 100, 101])
"""Per cent of what there is; 101: one more than that."""
ANY = st.integers(0, 1_000)


@dataclass
class Figures:
    """What the examples did."""

    examples: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    checks: int = 0

    def lines(self) -> list[str]:
        """For the log of the test run."""
        return [
            f"examples {self.examples}, steps {sum(self.steps.values())}, looks at all that is stored {self.checks}",
            "steps: " + ", ".join(f"{name} {number}" for name, number in sorted(self.steps.items())),
            "entries: " + ", ".join(f"{name} {number}" for name, number in sorted(self.entries.items())),
        ]


def part(of: int, share: int) -> int:
    return of + 1 if share > 100 else max(1, of * share // 100)


def machine(database_url: str, figures: Figures) -> type[RuleBasedStateMachine]:
    """The state machine on this database."""

    class Ledger(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.connection: Any = None
            self.oracle = Oracle()
            self.owners: list[UUID] = []
            self.asked: list[dict[str, Any]] = []
            self.hashes: dict[UUID, str] = {}

        def run(self, work: Any) -> Any:
            return self.loop.run_until_complete(work)

        @initialize(given=st.lists(AMOUNTS, min_size=3, max_size=3))
        def begin(self, given: list[int]) -> None:
            self.connection = self.run(asyncpg.connect(database_url))
            self.owners = self.run(new_organizations(self.connection, 3))
            self.holder = uuid4()
            self.run(self.connection.execute("insert into credit_holder (id) values ($1)", self.holder))
            for number, amount in enumerate(given):
                self.ask(what="grant", owner=number, type=EntryType.PURCHASE, amount=amount, key=None)
                self.ask(what="grant", owner=number, type=EntryType.BONUS, amount=61 - amount, expires=1, key=None)

        # What people ask for: judged first, then done, and after that the same again.

        def ask(self, **request: Any) -> None:
            owner = self.owners[request["owner"]]
            key, content = request["key"], {name: value for name, value in request.items() if name != "key"}
            earlier = self.oracle.keys.get((owner, key)) if key else None
            expected: Any
            if earlier is not None:
                expected = "replayed" if earlier[0] == content else KeyReused
            else:
                expected = self.judged(request)
            figures.steps[f"{request['what']} {getattr(expected, '__name__', expected)}"] += 1
            if isinstance(expected, type):
                try:
                    booked = self.run(self.done(request))
                except expected:
                    return
                raise AssertionError(f"{request} was to be refused as {expected.__name__}, but made {booked}")
            booked = self.run(self.done(request))
            assert booked.replayed == (expected == "replayed")
            if booked.replayed:
                assert booked.entry.id == earlier[1]
                return
            self.note(request, booked.entry)
            if key:
                self.oracle.keys[owner, key] = content, booked.entry.id
            self.asked.append(request)

        def judged(self, request: dict[str, Any]) -> Any:
            book = self.oracle.books[self.owners[request["owner"]]]
            if request["what"] == "adjust" and -request["amount"] > book.available:
                return NotAvailable
            if request["what"] == "refund":
                most = book.refundable(request["entry"])
                if most is None or not 0 < (most if request["amount"] is None else request["amount"]) <= most:
                    return NotRefundable
            return "done"

        async def done(self, request: dict[str, Any]) -> Any:
            owner = self.owners[request["owner"]]
            words = {"reason": "r", "idempotency_key": request["key"]}
            if request["what"] == "grant":
                expires = request.get("expires")
                return await grant(
                    self.connection,
                    owner,
                    amount_micro=request["amount"],
                    type=request["type"],
                    priority=request.get("priority"),
                    expires_at=None if expires is None else FAR + timedelta(days=expires),
                    **words,
                )
            if request["what"] == "adjust":
                return await adjust(self.connection, owner, amount_micro=request["amount"], **words)
            return await refund(self.connection, request["entry"].id, amount_micro=request["amount"], **words)

        def note(self, request: dict[str, Any], posted: Any) -> None:
            book, original = self.oracle.books[posted.organization_id], request.get("entry")
            if request["what"] == "refund":
                amount = book.refundable(original) if request["amount"] is None else request["amount"]
                signed = amount if original.type == "usage" else -amount
            else:
                signed = request["amount"]
            assert posted.amount_micro == signed
            kind = {"grant": request.get("type"), "adjust": "adjustment", "refund": "refund"}[request["what"]]
            if signed < 0 and original is not None:
                [its] = [each for each in book.grants if each.entry is original]
                its.remaining += signed
            elif signed < 0:
                book.burn(-signed)
            entry = self.oracle.entry(posted.id, posted.organization_id, kind, signed, original)
            if signed > 0:
                priority = request.get("priority")
                priority = PRIORITIES.get(kind, 50) if priority is None else priority
                expires = request.get("expires")
                self.oracle.came(
                    entry, posted.created_at, priority, None if expires is None else FAR + timedelta(days=expires)
                )
            if kind == "purchase":
                self.oracle.paid[request["key"] or posted.id, posted.organization_id] = signed

        @rule(
            owner=WHICH,
            kind=st.sampled_from([EntryType.PURCHASE, EntryType.BONUS]),
            amount=AMOUNTS,
            priority=st.sampled_from([None, None, 0, 10, 100]),
            expires=st.sampled_from([None, 1, 2, 2]),
            key=KEYS,
        )
        def give(self, owner: int, kind: EntryType, amount: int, priority: Any, expires: Any, key: Any) -> None:
            self.ask(what="grant", owner=owner, type=kind, amount=amount, priority=priority, expires=expires, key=key)

        @rule(owner=WHICH, amount=st.integers(-80, 60).filter(bool), key=KEYS)
        def correct(self, owner: int, amount: int, key: Any) -> None:
            self.ask(what="adjust", owner=owner, amount=amount, key=key)

        @rule(which=ANY, wanted=st.sampled_from(["usage", "purchase", "any"]), amount=st.none() | AMOUNTS, key=KEYS)
        def give_back(self, which: int, wanted: str, amount: int | None, key: Any) -> None:
            entries = [entry for entry in self.oracle.entries() if wanted in {"any", entry.type}]
            if entries:
                entry = entries[which % len(entries)]
                owner = self.owners.index(entry.organization)
                self.ask(what="refund", owner=owner, entry=entry, amount=amount, key=key)

        @rule(which=ANY)
        @precondition(lambda self: any(request["key"] for request in self.asked))
        def l5_ask_again(self, which: int) -> None:
            keyed = [request for request in self.asked if request["key"]]
            self.ask(**keyed[which % len(keyed)])

        @rule(which=ANY)
        @precondition(lambda self: any(request["key"] for request in self.asked))
        def l5_ask_for_something_else_under_the_same_key(self, which: int) -> None:
            keyed = [request for request in self.asked if request["key"]]
            request = dict(keyed[which % len(keyed)])
            # A correction of nothing is none, whatever its key.
            self.ask(**request | {"amount": (request["amount"] or 0) + 1 or 1})

        # What gateways and ingesters do.

        @rule(owner=WHICH, share=SHARES)
        def lend_to_a_worker(self, owner: int, share: int) -> None:
            book, at = self.oracle.books[self.owners[owner]], self.owners[owner]
            amount = part(book.available, share)

            async def work() -> tuple[bool, Any]:
                async with self.connection.transaction():
                    await lock_accounts(self.connection, [at])
                    expired = await expire_due(self.connection, [at])
                    return await lend(self.connection, at, self.holder, amount), expired

            done, expired = self.run(work())
            self.note_expired(expired)
            assert done == (amount <= book.available)
            figures.steps[f"lend {'done' if done else 'refused'}"] += 1
            if done:
                book.unspent += amount

        @rule(owner=WHICH, share=SHARES)
        @precondition(lambda self: any(book.unspent for book in self.oracle.books.values()))
        def take_back_from_a_worker(self, owner: int, share: int) -> None:
            book = self.oracle.books[self.owners[owner]]
            amount = part(book.unspent, share)
            done = self.run(take_back(self.connection, self.owners[owner], self.holder, amount))
            assert done == (amount <= book.unspent)
            figures.steps[f"take back {'done' if done else 'refused'}"] += 1
            if done:
                book.unspent -= amount

        @rule(batch=st.dictionaries(WHICH, st.tuples(SHARES, st.integers(1, 3)), min_size=1))
        def store_a_batch(self, batch: dict[int, tuple[int, int]]) -> None:
            costs = {}
            for number, (share, requests) in batch.items():
                unspent = self.oracle.books[self.owners[number]].unspent
                if unspent or share > 100:
                    free = [1] * min(requests - 1, unspent)
                    costs[self.owners[number]] = [max(1, part(unspent, share) - len(free)), *free]
            if not costs:
                return
            allowed = all(sum(amounts) <= self.oracle.books[owner].unspent for owner, amounts in costs.items())
            figures.steps[f"batch {'done' if allowed else 'refused'}"] += 1
            try:
                entries = self.run(charge(self.connection, self.holder, costs))
            except asyncpg.CheckViolationError:
                assert not allowed
                return
            assert allowed
            for posted in entries:
                book = self.oracle.books[posted.organization_id]
                book.unspent -= posted.amount_micro
                book.spent += posted.amount_micro
                book.burn(posted.amount_micro)
                self.oracle.entry(posted.id, posted.organization_id, "usage", -posted.amount_micro)

        @rule(owner=WHICH, share=SHARES)
        def reserve(self, owner: int, share: int) -> None:
            book = self.oracle.books[self.owners[owner]]
            amount = part(book.available, share)
            made = self.run(hold(self.connection, self.owners[owner], self.holder, amount))
            assert (made is not None) == (amount <= book.available)
            figures.steps[f"reserve {'refused' if made is None else 'done'}"] += 1
            if made is not None:
                book.held[made] = amount

        @rule(owner=WHICH, which=ANY, share=st.sampled_from([0.0, 0.5, 1.0]))
        def l4_end_a_reservation(self, owner: int, which: int, share: float) -> None:
            book = self.oracle.books[self.owners[owner]]
            known = [*book.held, *book.ended]
            if not known:
                return
            chosen = known[which % len(known)]
            cost = round(share * book.held.get(chosen, 1))
            done = self.run(settle(self.connection, self.owners[owner], chosen, cost))
            assert done == (chosen in book.held)
            figures.steps[f"settle {'done' if done else 'ended before'}"] += 1
            if done:
                del book.held[chosen]
                book.ended[chosen] = ("settled" if cost else "released", cost)
                if cost:
                    book.burn(cost)
                    number = self.run(self.newest(self.owners[owner]))
                    self.oracle.entry(number, self.owners[owner], "usage", -cost)

        async def newest(self, owner: UUID) -> UUID:
            return await self.connection.fetchval(
                "select id from credit_entry where organization_id = $1 order by number desc limit 1", owner
            )

        @rule(plan=st.lists(st.tuples(WHICH, st.integers(-15, 30).filter(bool)), min_size=2, max_size=8))
        def post_several_at_once(self, plan: list[tuple[int, int]]) -> None:
            """What comes and goes by one call, as far as it goes; all that comes in is there before anything burns."""
            standing = {owner: self.oracle.books[owner].available for owner in self.owners}
            movements = []
            for number, amount in plan:
                owner = self.owners[number]
                if standing[owner] + amount >= 0:
                    standing[owner] += amount
                    movements.append(bonus(owner, amount, priority=20) if amount > 0 else lower(owner, -amount))

            async def work() -> Any:
                async with self.connection.transaction():
                    await lock_accounts(self.connection, self.owners)
                    return await post(self.connection, movements)

            figures.steps["several"] += 1
            burned = []
            for entry, movement in zip(self.run(work()), movements, strict=True):
                book = self.oracle.books[entry.organization_id]
                made = self.oracle.entry(entry.id, entry.organization_id, entry.type, movement.signed_micro)
                assert entry.balance_after_micro == book.balance
                if movement.incoming:
                    self.oracle.came(made, entry.created_at, 20)
                else:
                    burned.append((book, entry.amount_micro))
            for book, amount in burned:
                book.burn(amount)

        # Time.

        @rule(days=st.sampled_from([1, 2]))
        @precondition(lambda self: self.something_will_expire())
        def time_passes(self, days: int) -> None:
            """The grants that expire on that day are due from now on."""
            day = FAR + timedelta(days=days)
            self.run(
                self.connection.execute(
                    "update credit_grant set expires_at = expires_at - interval '100 years'"
                    " where organization_id = any($1) and expires_at = $2",
                    self.owners,
                    day,
                )
            )
            figures.steps["time"] += 1
            for book in self.oracle.books.values():
                for each in book.grants:
                    if each.expires == day:
                        each.expires, each.due = LONG_AGO + timedelta(days=days), True

        @rule()
        @precondition(lambda self: any(book.due() for book in self.oracle.books.values()))
        def sweep(self) -> None:
            figures.steps["sweep"] += 1
            expected = {
                (each.entry.organization, amount) for book in self.oracle.books.values() for each, amount in book.due()
            }
            swept = self.run(expire_all(self.connection))
            posted = [entry for entry in swept if entry.organization_id in self.owners]  # others are of past examples
            assert {(entry.organization_id, entry.amount_micro) for entry in posted} == expected
            self.note_expired(posted)

        def something_will_expire(self) -> bool:
            return any(each.expires and not each.due for book in self.oracle.books.values() for each in book.grants)

        def note_expired(self, posted: Any) -> None:
            for owner in {entry.organization_id for entry in posted}:
                book = self.oracle.books[owner]
                due = sorted(book.due(), key=lambda pair: pair[1])
                its = sorted((e for e in posted if e.organization_id == owner), key=lambda e: e.amount_micro)
                assert [amount for _, amount in due] == [entry.amount_micro for entry in its]
                for (each, amount), entry in zip(due, its, strict=True):
                    each.remaining -= amount
                    self.oracle.entry(entry.id, owner, "expiry", -amount)

        # What must hold after every step.

        @invariant()
        def all_that_is_stored_is_right(self) -> None:
            if self.owners:
                figures.checks += 1
                stored = self.run(read(self.connection, self.owners, self.hashes))
                for check in CHECKS:
                    check(stored, self.oracle)
                self.hashes = stored.hashes

        def teardown(self) -> None:
            if self.owners:
                found = self.run(reconcile(self.connection))
                figures.examples += 1
                figures.entries.update(entry.type for entry in self.oracle.entries())
                self.run(self.connection.close())
                self.loop.close()
                assert found.drifts == []
                return
            self.loop.close()

    return Ledger

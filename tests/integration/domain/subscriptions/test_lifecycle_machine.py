"""Random lives of a subscription in the database against the oracle, with sweeps that come late or never."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import organizations, plans, subscriptions, trials
from domain.faults import Conflict, NotFound
from domain.renewals import settle_due
from domain.subscription_reading import fetch_entitlements
from domain.subscription_rows import as_settled, fetch_subscription, transition
from tests.integration.domain.subscriptions.oracle import MIDNIGHT, Oracle, Refused
from tests.subscriptions import fresh

PLANS = st.integers(0, 2)
COMMANDS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 45)),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("change_at_once"), PLANS),
    st.tuples(st.just("change_later"), PLANS),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("cancel_now")),
    st.tuples(st.just("reactivate")),
    st.tuples(st.just("unpaid")),
    st.tuples(st.just("trial"), PLANS),
    st.tuples(st.just("extend"), st.integers(1, 30)),
)
# Where chance alone seldom comes to.
BEGINNINGS = st.sampled_from(
    [
        (),
        (("trial", 1),),
        (("trial", 2), ("cancel",)),
        (("cancel_now",), ("trial", 1)),
        (("cancel_now",), ("trial", 2), ("cancel",)),
        (("change_at_once", 2), ("change_later", 1)),
        (("change_at_once", 1), ("wait", 26), ("unpaid",)),
    ]
)


class Life:
    """One organization in the database, and the oracle's picture of it."""

    def __init__(self, connection, customer, slugs, ids) -> None:
        self.connection, self.customer, self.slugs, self.ids = connection, customer, slugs, ids
        self.oracle = Oracle(MIDNIGHT)
        self.email = f"{uuid4().hex}@example.com"

    @property
    def now(self):
        return self.oracle.date(self.oracle.day)

    async def do(self, command, *rest) -> None:
        if command == "wait":
            self.oracle.wait(*rest)
            return
        if command == "sweep":
            await settle_due(self.connection, now=self.now, most=1_000)
            return
        try:
            getattr(self.oracle, command)(*rest)
            refused = False
        except Refused:
            refused = True
        try:
            await self.ask(command, *rest)
            assert not refused, (command, rest)
        except (Conflict, NotFound):
            assert refused, (command, rest)

    async def ask(self, command, *rest) -> None:
        calls = {
            "change_at_once": (subscriptions.change_plan, {"at": "once"}),
            "change_later": (subscriptions.change_plan, {"at": "period-end"}),
            "cancel": (subscriptions.cancel, {}),
            "cancel_now": (subscriptions.cancel, {"at_once": True}),
            "reactivate": (subscriptions.reactivate, {}),
            "unpaid": (subscriptions.mark_unpaid, {}),
            "trial": (trials.start_trial, {"email": self.email}),
            "extend": (trials.extend_trial, {}),
        }
        call, named = calls[command]
        values = (
            [self.slugs[value] for value in rest] if command in {"change_at_once", "change_later", "trial"} else rest
        )
        if command == "extend":
            values = [timedelta(days=rest[0])]
        await call(self.connection, self.customer, *values, now=self.now, **named)

    async def check(self) -> None:
        """Unswept, nobody whose time is up has access; settled, the database says what the oracle says."""
        entitled = await fetch_entitlements(self.connection, self.customer, now=self.now)
        if len(self.oracle.seen()) == 1:
            assert not entitled.access
        async with _rolled_back(self.connection):
            await transition(self.connection, self.customer, as_settled, now=self.now)
            held = await fetch_subscription(self.connection, self.customer)
        if not held.live:
            seen = (held.state,)
        else:
            plan, following = (
                None if id_ is None else self.ids.index(id_) for id_ in (held.plan_id, held.next_plan_id)
            )
            seen = held.state, plan, following, held.period_start, held.period_end, held.cancel_at
        assert seen == self.oracle.seen()


class _rolled_back:  # noqa: N801  used as a statement
    def __init__(self, connection) -> None:
        self.transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self.transaction.start()

    async def __aexit__(self, *fault) -> None:
        await self.transaction.rollback()


async def live(connection, commands) -> None:
    try:
        made = [
            await plans.create(
                connection, slug=fresh("plan"), limits=[], price_cents=rank * 1_000, sort_order=rank, trial_days=14
            )
            for rank in range(3)
        ]
        customer = (await organizations.create(connection, name=fresh("org"), plan_slug=made[0].slug)).id
        # Its life begins at the oracle's midnight.
        await connection.execute("delete from subscription where organization_id = $1", customer)
        await subscriptions.subscribe(connection, customer, made[0].slug, now=MIDNIGHT)
        life = Life(connection, customer, [plan.slug for plan in made], [plan.id for plan in made])
        for command in commands:
            await life.do(*command)
            await life.check()
    finally:
        # Nobody of this life is there for the next one's sweeps.
        await connection.execute("delete from subscription")


@pytest.fixture
def world(lifecycle_url):
    """A loop and a connection for all lives: with one for each, most of the time went into preparing its statements."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(lifecycle_url))
        yield runner, connection
        runner.run(connection.close())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(beginning=BEGINNINGS, commands=st.lists(COMMANDS, min_size=2, max_size=12))
def test_every_life_is_as_the_oracle_says(world, beginning, commands):
    runner, connection = world
    runner.run(live(connection, [*beginning, *commands]))

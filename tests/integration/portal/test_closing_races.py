"""Making something in an organization at the very moment in which it is closed: it ends with it, or it is not made.

Both orders, on two connections: whoever makes it has not committed when the closing begins; and the closing has not
committed when the making begins. A last test lets many of them run freely.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain import keys, organizations, subscriptions
from domain.async_jobs.accepting import Wanted, accept
from domain.audit import Actor
from domain.catalog.key_reading import read_key
from domain.closing import close
from domain.faults import Conflict, NotFound
from domain.identity.own_tokens import create_token
from domain.identity.sessions import find_session
from domain.invitations import Post, invite
from domain.invitations import accept as join
from domain.key_digest import sha256_digest
from domain.refusals import OrganizationSuspended
from domain.tenant_keys import KeyWish, create_key, rotate_key
from domain.webhooks.addresses import Guard
from domain.webhooks.endpoints import change_endpoint, create_endpoint
from portal.web.cookies import SESSION, cookie_name
from tests.mailboxes import link_to
from tests.portals import PLAN, Person, Portal

ACTOR = Actor("user", None, "somebody@example.com", "127.0.0.1", "test")
REFUSALS = (NotFound, Conflict, OrganizationSuspended)
LIVING = {
    "api_key": "revoked_at is null",
    "access_token": "revoked_at is null",
    "invitation": "accepted_at is null and withdrawn_at is null",
    "webhook_endpoint": "disabled_at is null and deleted_at is null",
    "async_job": "ended_at is null",
    "subscription": "state in ('trialing', 'active', 'past_due')",
}


class Making:
    """A person, what was there before, and each thing that can be made in their organization."""

    def __init__(self, portal: Portal, person: Person) -> None:
        self.portal, self.person = portal, person
        self.settings, self.guard = portal.settings, Guard(portal.settings.webhooks)
        self.owner = person.organization.id
        self.made: Any = None

    async def before(self) -> None:
        """No subscription, a key to be rotated, an endpoint that is off, an invitation to be accepted."""
        async with self.portal.pool.acquire() as connection, connection.transaction():
            await subscriptions.cancel(connection, self.owner, at_once=True)
            self.old_key = await self._operator_key(connection)
            self.old_endpoint = await self._endpoint(connection)
            await self._endpoint_off(connection)
            self.guest_id, self.guest = await self.portal.user()
            await self._invite(connection, self.guest)
        self.token = (await link_to(self.portal, self.guest, "invitation")).rpartition("/")[2]

    async def key(self, connection: Any) -> Any:
        self.made = await create_key(connection, self.person.access, ACTOR, self.settings.keys, KeyWish("mine"))

    async def operators_key(self, connection: Any) -> None:
        self.made = await self._operator_key(connection)

    async def imported_key(self, connection: Any) -> None:
        digest = secrets.token_hex(32)
        await keys.import_sha256(connection, organization_id=self.owner, name="old", sha256_hex=digest)

    async def rotated_key(self, connection: Any) -> None:
        now = timedelta(0)
        await rotate_key(connection, self.person.access, ACTOR, self.settings.keys, self.old_key.record.id, now)

    async def operators_rotated_key(self, connection: Any) -> None:
        await keys.rotate(
            connection, self.settings.keys, self.old_key.record.id, organization_id=None, overlap=timedelta(hours=1)
        )

    async def access_token(self, connection: Any) -> None:
        jar, portal = self.person.browser.client.cookies, self.settings.portal
        cookie = jar.get(cookie_name(portal, SESSION))
        session = await find_session(
            connection, cookie, idle=timedelta(hours=1), address="127.0.0.1", user_agent="Test"
        )
        assert session is not None
        await create_token(
            connection, self.settings, session, ACTOR, self.person.access, name="ci", read_only=False, days=None
        )

    async def invitation(self, connection: Any) -> None:
        await self._invite(connection, f"new-{secrets.token_hex(4)}@example.com")

    async def membership(self, connection: Any) -> None:
        await join(connection, self.token, user_id=self.guest_id, email=self.guest, actor=ACTOR)

    async def webhook(self, connection: Any) -> None:
        await self._endpoint(connection)

    async def webhook_on_again(self, connection: Any) -> None:
        await change_endpoint(
            connection, self.person.access, ACTOR, self.guard, self.old_endpoint.record.id, enabled=True
        )

    async def job(self, connection: Any) -> None:
        ids = [uuid4() for _ in range(4)]
        wanted = Wanted(uuid4(), self.owner, *ids, 0, "POST", "/", b"sealed", b"body", 3_600)
        assert (await accept(connection, wanted, None, recall=False)).done

    async def subscription(self, connection: Any) -> None:
        await subscriptions.subscribe(connection, self.owner, PLAN)

    async def close(self, connection: Any) -> None:
        await close(connection, self.owner, ACTOR, reason="The test closes it.")

    async def living(self) -> dict[str, int]:
        """What lives on in the organization, by table."""
        found = {}
        for table, alive in LIVING.items():
            question = f"select count(*) from {table} where organization_id = $1 and {alive}"
            if number := await self.portal.pool.fetchval(question, self.owner):
                found[table] = number
        return found

    async def _operator_key(self, connection: Any) -> keys.CreatedKey:
        return await keys.create(connection, self.settings.keys, organization_id=self.owner, name="theirs")

    async def _endpoint(self, connection: Any) -> Any:
        return await create_endpoint(
            connection, self.person.access, ACTOR, self.guard, self.settings.secrets, url="https://127.0.0.1:9/hook"
        )

    async def _endpoint_off(self, connection: Any) -> None:
        await change_endpoint(
            connection, self.person.access, ACTOR, self.guard, self.old_endpoint.record.id, enabled=False
        )

    async def _invite(self, connection: Any, email: str) -> None:
        portal = self.settings.portal
        post = Post(self.portal.app.state.services.throttle, self.settings.secrets, portal.base_url, portal.name)
        await invite(connection, self.person.access, ACTOR, post, email=email, role="viewer")


THINGS: dict[str, Callable[[Making, Any], Awaitable[None]]] = {
    "key": Making.key,
    "key-by-operator": Making.operators_key,
    "imported-key": Making.imported_key,
    "rotated-key": Making.rotated_key,
    "key-rotated-by-operator": Making.operators_rotated_key,
    "access-token": Making.access_token,
    "invitation": Making.invitation,
    "membership": Making.membership,
    "webhook": Making.webhook,
    "webhook-on-again": Making.webhook_on_again,
    "job": Making.job,
    "subscription": Making.subscription,
}


@pytest.fixture
async def making(portal: Portal, owner: Person) -> Making:
    made = Making(portal, owner)
    await made.before()
    return made


async def blocked(portal: Portal, connection: Any, task: "asyncio.Task[Any]") -> bool:
    """Whether what runs on the connection waits for a lock; False: it has ended."""
    pid = connection.get_server_pid()
    while not task.done():
        if await portal.pool.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):
            return True
        await asyncio.sleep(0.005)
    return False


@pytest.mark.parametrize("thing", THINGS)
async def test_what_is_made_before_the_closing_sees_it_ends_with_it(portal: Portal, making: Making, thing: str) -> None:
    async with portal.pool.acquire() as maker, portal.pool.acquire() as closer:
        slow, closing = maker.transaction(), closer.transaction()
        await slow.start()
        await THINGS[thing](making, maker)
        await closing.start()
        ends = asyncio.create_task(making.close(closer))
        assert await blocked(portal, closer, ends)
        await slow.commit()
        await ends
        await closing.commit()
    assert await making.living() == {}


@pytest.mark.parametrize("thing", THINGS)
async def test_what_is_made_before_the_closing_is_seen_is_refused(portal: Portal, making: Making, thing: str) -> None:
    async with portal.pool.acquire() as maker, portal.pool.acquire() as closer:
        slow, closing = maker.transaction(), closer.transaction()
        await closing.start()
        await making.close(closer)
        await slow.start()
        makes = asyncio.create_task(THINGS[thing](making, maker))
        assert await blocked(portal, maker, makes)
        await closing.commit()
        with pytest.raises(REFUSALS):
            await makes
        await slow.rollback()
    assert await making.living() == {}


async def test_many_who_make_things_while_it_is_closed_leave_nothing_alive(portal: Portal) -> None:
    for _ in range(5):
        making = Making(portal, await portal.person("owner"))
        await making.before()

        async def run(work: Callable[[Making, Any], Awaitable[None]], making: Making = making) -> None:
            async with portal.pool.acquire() as connection, connection.transaction():
                await work(making, connection)

        works = [*THINGS.values(), *THINGS.values()]
        works.insert(secrets.randbelow(len(works)), Making.close)
        ended = await asyncio.gather(*(run(work) for work in works), return_exceptions=True)
        odd = [(getattr(f, "detail", None), f) for f in ended if not (f is None or isinstance(f, REFUSALS))]
        assert not odd, odd
        assert await making.living() == {}


async def test_the_gateway_refuses_a_key_of_the_moment_of_closing(portal: Portal, making: Making) -> None:
    """Both are true of it: it is revoked, and its organization is closed."""
    async with portal.pool.acquire() as maker, maker.transaction():
        await making.key(maker)
    async with portal.pool.acquire() as closer, closer.transaction():
        await making.close(closer)
    presented = making.made.plaintext.encode()
    found = await read_key(portal.pool, making.settings.keys.pepper_by_version, presented, sha256_digest(presented))
    assert found is not None
    assert found.revoked
    assert found.organization_state == "closed"


async def test_no_key_is_made_while_the_organization_is_being_suspended(portal: Portal, making: Making) -> None:
    async with portal.pool.acquire() as maker, portal.pool.acquire() as office:
        suspending = office.transaction()
        await suspending.start()
        await organizations.suspend(office, making.person.organization.slug)
        makes = asyncio.create_task(making.key(maker))
        assert await blocked(portal, maker, makes)
        await suspending.commit()
        with pytest.raises(Conflict, match="suspended"):
            await makes

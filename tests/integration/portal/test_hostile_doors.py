"""Hostile strangers at the doors, and hostile crowds: what they learn, whom they take over, whom they crowd out."""

import asyncio
import time
from collections import Counter

import pytest

from domain import audit
from domain.faults import InvalidValue
from domain.identity.addresses import valid_email
from domain.identity.signing_up import WrongPassword, ask, check_link_password, checked_wish, prove_mailbox
from domain.invitations import valid_address
from domain.outbox import values_of
from domain.passwords import hash_password
from portal.web.doors import EVEN_SECONDS
from portal.web.turns import Turns
from tests.accounts import bearer
from tests.deadlines import until
from tests.portals import Person, Portal

NOBODY = audit.Actor()


async def test_a5_a_wrong_password_takes_as_long_for_an_address_that_nobody_has(portal: Portal, owner: Person):
    """The line in the audit that a known address gets must not be seen in the time of the answer."""
    for email in (owner.email, "nobody-at-all@example.com"):
        began = time.monotonic()
        answer = await portal.browser("198.51.100.91").post("/sign-in", {"email": email, "password": "wrong wrong"})
        assert answer.status_code == 401
        assert time.monotonic() - began >= EVEN_SECONDS


async def test_who_asks_for_an_address_while_its_owner_confirms_it_does_not_get_the_account(portal: Portal):
    """Between the check of the password and the use of the link, another sign-up replaces the password."""
    email, settings = "race-of-two@example.com", portal.settings
    hashes = {name: await hash_password(f"the password of {name}") for name in ("owner", "thief")}

    async def asks(name: str) -> None:
        async with portal.pool.acquire() as connection, connection.transaction():
            await ask(connection, settings, checked_wish(email, f"the password of {name}", ""), hashes[name], NOBODY)

    await asks("owner")
    row = await portal.pool.fetchrow("select id, content from outbox_message where recipient = $1", email)
    token = values_of(settings.secrets, row["id"], row["content"])["link"].rpartition("/")[2]
    stored = await check_link_password(portal.pool, token, "the password of owner")
    await asks("thief")
    async with portal.pool.acquire() as connection:
        with pytest.raises(WrongPassword):
            async with connection.transaction():
                await prove_mailbox(connection, settings, token, stored, NOBODY)
    assert not await portal.pool.fetchval("select active from users where email = $1", email)


@pytest.mark.parametrize("check", [valid_email, valid_address])
def test_an_address_with_a_letter_that_only_looks_like_one_is_nobody_elses(check):
    assert check(" Kim@Example.com ") == "kim@example.com"
    with pytest.raises(InvalidValue):
        check("\u212aim@example.com")


@pytest.mark.parametrize("how", ["session", "token", "page"])
async def test_one_person_never_holds_all_connections_to_the_database(portal: Portal, owner: Person, how: str):
    """Twelve changes wait for a row that is held: the neighbour's page comes all the same."""
    neighbour = await portal.person("owner")
    fields = await bearer(portal, owner) if how == "token" else {}
    await owner.browser.api("GET", "/organization", headers=fields)

    async def rename(turn: int):
        if how == "page":
            made_up = {"authorization": f"Bearer pe_pat_{turn}"}
            return await owner.browser.post(f"{owner.root}/settings", {"name": f"N {turn}"}, headers=made_up)
        return await owner.browser.api("PATCH", "/organization", {"name": f"N {turn}"}, headers=fields)

    async with portal.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("select from organization where id = $1 for update", owner.organization.id)
        stuck = [asyncio.create_task(rename(turn)) for turn in range(12)]
        try:
            await until(lambda: portal.pool.get_size() - portal.pool.get_idle_size() > 1)
            async with asyncio.timeout(20):
                assert (await neighbour.browser.get(f"{neighbour.root}/team")).status_code == 200
        finally:
            await transaction.rollback()
            answers = await asyncio.gather(*stuck)
    assert {answer.status_code for answer in answers} == {303 if how == "page" else 200}


async def test_all_that_one_person_shows_stands_in_one_line_and_nothing_of_it_stays():
    turns, holding, most = Turns(8), Counter(), 0
    for shown in ("a", "b", "c"):
        turns.remember(shown, 7)

    async def work(shown: str) -> None:
        nonlocal most
        async with turns.turn(shown):
            holding[7] += 1
            most = max(most, holding[7])
            await asyncio.sleep(0)
            holding[7] -= 1

    await asyncio.gather(*(work(shown) for shown in "abc" * 10))
    assert most == 3
    assert not turns._lines

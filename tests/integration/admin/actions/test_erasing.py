"""An operator erases a person: at once, by the portal's own rule, and never an organization that others are left in."""

from html import unescape

import pytest

from tests.audited import written
from tests.mailboxes import mails_to


async def _join(connection, organization_id, user_id, role):
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, $3)", organization_id, user_id, role
    )


@pytest.fixture
async def person(office, connection, customer):
    """The only member, and owner, of the customer; signed in to the portal."""
    user_id, email = await office.user()
    await _join(connection, customer.organization.id, user_id, "owner")
    await office.sign_in(user_id)
    return user_id, email


async def test_the_person_is_gone_and_what_nobody_else_has_is_closed(office, superuser, connection, customer, person):
    user_id, email = person
    seen = await superuser.browser.preview("erase-user", email=email)
    assert f"{customer.organization.name} has nobody else and is closed" in unescape(seen.text)
    assert await connection.fetchval("select count(*) from users where id = $1", user_id) == 1
    done = await superuser.browser.act("erase-user", "asked in writing", email=email)
    assert done.status_code == 200, done.text
    assert f"{customer.organization.name} is closed." in unescape(done.text)
    for table, column in (("users", "id"), ("membership", "user_id"), ("portal_session", "user_id")):
        assert await connection.fetchval(f"select count(*) from {table} where {column} = $1", user_id) == 0, table
    state = await connection.fetchval("select state from organization where id = $1", customer.organization.id)
    assert state == "closed"
    assert [name for name, _ in await mails_to(office, email)] == ["account_deleted"]
    [entry] = await written(office, user_id, "account.erase")
    assert (entry.actor, entry.reason, entry.after) == (superuser.email, "asked in writing", {"closed": 1})
    again = await superuser.browser.act("erase-user", email=email)
    assert again.status_code == 404


async def test_the_only_owner_among_others_needs_a_successor(office, superuser, connection, customer, person):
    user_id, email = person
    second_id, second = await office.user()
    await _join(connection, customer.organization.id, second_id, "developer")
    refused = await superuser.browser.act("erase-user", email=email)
    assert refused.status_code == 409
    assert "name a member who becomes the owner" in unescape(refused.text)
    _, outsider = await office.user()
    refused = await superuser.browser.act("erase-user", email=email, successor=outsider)
    assert refused.status_code == 409
    assert "is no active member of" in refused.text
    assert await connection.fetchval("select count(*) from users where id = $1", user_id) == 1
    done = await superuser.browser.act("erase-user", "left the firm", email=email, successor=second.upper())
    assert done.status_code == 200, done.text
    assert await connection.fetch(
        "select user_id, role from membership where organization_id = $1", customer.organization.id
    ) == [(second_id, "owner")]
    [entry] = await written(office, second_id, "organization.transfer")
    assert (entry.before, entry.after) == ({"owner": email, "role": "developer"}, {"owner": second})
    state = await connection.fetchval("select state from organization where id = $1", customer.organization.id)
    assert state == "active"


async def test_a_successor_who_is_not_needed_and_an_operator_are_refused(office, superuser, person):
    user_id, email = person
    answer = await superuser.browser.act("erase-user", email=email, successor=superuser.email)
    assert answer.status_code == 409
    assert "no successor is needed" in answer.text
    await office.appoint(user_id, "analyst")
    answer = await superuser.browser.act("erase-user", email=email)
    assert answer.status_code == 409
    assert "operators dismiss" in answer.text
    support = await office.operator("support")
    assert (await support.browser.act("erase-user", email=email)).status_code == 403


async def test_who_waits_for_the_end_of_their_days_can_be_erased_at_once_and_a_late_second_erasure_finds_nobody(
    office, superuser, connection, person
):
    user_id, email = person
    await connection.execute("update users set deletes_at = now() + interval '9 days' where id = $1", user_id)
    form = await superuser.browser.look("erase-user", email=email)
    await superuser.browser.act("erase-user", email=email)
    late = await superuser.browser.post("/actions/erase-user", {**form, "reason": "too late"})
    assert late.status_code == 404
    assert len(await written(office, user_id, "account.erase")) == 1

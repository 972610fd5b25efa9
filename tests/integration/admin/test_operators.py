"""Who is an operator: said by superusers only, never nobody, written down, and in force at once."""

import asyncio

import asyncpg
import pytest

from domain.audit import Actor
from domain.faults import Conflict
from domain.operating.operators import end_operator_sessions, list_operators, set_operator_role
from domain.operators import OperatorRole
from tests.admins import running_back_office
from tests.portals import portal_settings


@pytest.fixture
async def fresh_pool(fresh_database_url):
    """A database without any operator."""
    async with asyncpg.create_pool(fresh_database_url, min_size=0, max_size=4) as pool:
        yield pool


async def appoint(operator, **values):
    """Carry the action out."""
    return await operator.browser.act("appoint-operator", "a test", **values)


async def test_a_user_is_appointed_changed_and_dismissed(office, superuser):
    user_id, email = await office.user()
    for role in ("support", "superuser", "admin"):
        assert (await appoint(superuser, user=email, role=role)).status_code == 200
        row = await office.pool.fetchrow("select operator_role, admin, superuser from users where id = $1", user_id)
        assert tuple(row) == (role, True, role == "superuser")
    browser = await office.sign_in(user_id)
    assert (await browser.get("/")).status_code == 200
    assert (await appoint(superuser, user=email, role="none")).status_code == 200
    assert (await browser.get("/")).status_code == 303
    row = await office.pool.fetchrow("select operator_role, admin, superuser from users where id = $1", user_id)
    assert tuple(row) == (None, False, False)
    trail = await office.pool.fetch(
        "select verb, reason, actor_name from audit_entry where object_id = $1 order by created_at", str(user_id)
    )
    assert [row["verb"] for row in trail] == ["operator.appoint"] * 3 + ["operator.dismiss"]
    assert {(row["reason"], row["actor_name"]) for row in trail} == {("a test", superuser.email)}
    mails = await office.pool.fetch(
        "select template from outbox_message where recipient = $1 order by created_at", email
    )
    assert [row["template"] for row in mails] == ["operator_appointed"] * 3 + ["operator_dismissed"]


async def test_a_change_of_role_ends_sessions_in_the_back_office_only(office, superuser):
    operator = await office.operator("admin")
    await office.pool.execute(
        "insert into portal_session (user_id, token_digest, expires_at, face)"
        " values ($1, sha256($2::text::bytea), now() + interval '1 day', 'portal')",
        operator.user_id,
        operator.email,
    )
    await appoint(superuser, user=operator.email, role="analyst")
    assert (await operator.browser.get("/")).status_code == 303
    kept = await office.pool.fetch("select face from portal_session where user_id = $1", operator.user_id)
    assert [row["face"] for row in kept] == ["portal"]


@pytest.mark.parametrize("values", [{"role": "root"}, {"role": ""}, {"user": "nobody@example.com", "role": "admin"}])
async def test_what_is_no_role_or_no_user_is_refused(office, superuser, values):
    _, email = await office.user()
    answer = await superuser.browser.preview("appoint-operator", **{"user": email, **values})
    assert answer.status_code in (404, 422)


async def test_two_superusers_who_dismiss_each_other_at_once_leave_one(office, fresh_pool):
    for name in ("ada", "bob"):
        await fresh_pool.execute(
            "insert into users (username, email, password, active, operator_role, admin, superuser)"
            " values ($1, $1, '$argon2-none', true, 'superuser', true, true)",
            f"{name}@example.com",
        )

    async def dismiss(name: str):
        async with fresh_pool.acquire() as connection, connection.transaction():
            await set_operator_role(
                connection, office.settings, Actor(), email=f"{name}@example.com", role=None, reason="each other"
            )
            await asyncio.sleep(0.2)

    results = await asyncio.gather(dismiss("ada"), dismiss("bob"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]
    async with fresh_pool.acquire() as connection:
        (left,) = await list_operators(connection)
        for role in (OperatorRole.ADMIN, None):
            with pytest.raises(Conflict, match="last superuser"):
                await set_operator_role(connection, office.settings, Actor(), email=left.email, role=role, reason="x")


async def test_the_page_lists_operators_for_superusers(fresh_database_url, redis_url, tmp_path):
    """In an office of its own: the page has the first 500, superusers first, and other tests make hundreds of them."""
    async with running_back_office(portal_settings(fresh_database_url, redis_url, tmp_path)) as office:
        superuser, other = await office.operator("superuser"), await office.operator("finance")
        page = await superuser.browser.get("/operators")
        assert page.status_code == 200
        assert other.email in page.text
        assert "finance" in page.text
        assert (await other.browser.get("/operators")).status_code == 403


async def test_an_operator_is_signed_out(office, superuser):
    other = await office.operator("admin")
    done = await superuser.browser.act("end-operator-sessions", "a lost laptop", user=other.email)
    assert done.status_code == 200
    assert (await other.browser.get("/")).status_code == 303
    async with office.pool.acquire() as connection:
        with pytest.raises(Conflict, match="nowhere"):
            await end_operator_sessions(connection, Actor(), email=other.email, reason="again")

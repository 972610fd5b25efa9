"""From an address to a customer, and what strangers learn of it: nothing."""

import asyncio
import time

import pytest

from domain.identity.addresses import mailbox_of
from portal.web.doors import EVEN_SECONDS
from tests.mailboxes import link_to, mails_to, new_email, stranger
from tests.portals import PASSWORD


@pytest.fixture(autouse=True)
async def plan(portal):
    """The plan that new organizations begin on."""
    await portal.organization()


async def ask(portal, email, password=PASSWORD, organization="Acme", browser=None):
    """POST /sign-up by a stranger."""
    fields = {"email": email, "password": password, "organization": organization}
    return await (browser or stranger(portal)).post("/sign-up", fields)


async def owned(portal, email):
    """Name and balance of each organization that the user owns."""
    return await portal.pool.fetch(
        "select o.name, o.slug, coalesce(a.balance_micro, 0) as balance from users u join membership m on m.user_id = u.id"
        " and m.role = 'owner' join organization o on o.id = m.organization_id"
        " left join credit_account a on a.organization_id = o.id where u.email = $1",
        email,
    )


async def test_sign_up_confirm_and_in_with_organization_and_bonus(portal):
    email, browser = new_email(), stranger(portal)
    answer = await ask(portal, f"  {email.upper()} ", organization="Straße <b>", browser=browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-up/sent")
    assert await owned(portal, email) == []
    path = await link_to(portal, email, "verify_email")
    assert email in (await browser.get(path)).text
    answer = await browser.post(path, {"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/organizations?done=address_confirmed")
    (row,) = await owned(portal, email)
    assert (row["name"], row["balance"]) == ("Straße <b>", 100_000_000)
    assert (await browser.get("/organizations")).headers["location"] == f"/o/{row['slug']}"
    page = await browser.get(f"/o/{row['slug']}/settings")
    assert "Straße &lt;b&gt;" in page.text
    verbs = await portal.pool.fetch("select verb from audit_entry where actor_name = $1 order by id", email)
    assert {row["verb"] for row in verbs} == {"account.verify_email", "organization.create", "account.sign_in"}


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/invitations/abc?x=1", "/invitations/abc?x=1"),
        ("//evil.example/", "/organizations?done=address_confirmed"),
        ("https://evil.example/", "/organizations?done=address_confirmed"),
    ],
)
async def test_a10_the_mailed_link_leads_back_to_where_one_came_from_and_never_to_another_site(
    portal, wanted, leads_to
):
    email, browser = new_email(), stranger(portal)
    page = await browser.get("/sign-up", params={"next": wanted})
    assert ('value="/invitations/abc?x=1"' in page.text) is wanted.startswith("/invitations")
    fields = {"email": email, "password": PASSWORD, "organization": "", "next": wanted}
    assert (await browser.post("/sign-up", fields)).headers["location"] == "/sign-up/sent"
    path = await link_to(portal, email, "verify_email")
    assert "evil" not in path
    answer = await browser.post(path, {"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


async def test_a5_known_and_unknown_addresses_get_the_same_answer_in_the_same_time(portal):
    _, known = await portal.user()
    waits = new_email()
    await ask(portal, waits)
    answers = []
    for path, fields in (
        ("/sign-up", {"password": PASSWORD, "organization": "Acme"}),
        ("/sign-up/sent", {}),
        ("/forgot", {}),
        ("/sign-in", {"password": "not this one"}),
    ):
        for email in (known, new_email(), waits):
            browser = stranger(portal)
            await browser.get("/sign-in")
            begin = time.monotonic()
            answer = await browser.post(path, {"email": email, **fields})
            seconds = time.monotonic() - begin
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            body = answer.text.replace(email, "").replace(browser.csrf, "")
            answers.append((path, answer.status_code, headers.pop("content-length") and headers, body))
            assert seconds < 2
            assert seconds >= EVEN_SECONDS
        assert answers[-1] == answers[-2] == answers[-3]


async def test_a5_a_known_address_is_told_by_mail_only(portal):
    user_id, known = await portal.user()
    await ask(portal, known, password="another password", organization="Other")
    assert [name for name, _ in await mails_to(portal, known)] == ["known_address"]
    browser = stranger(portal)
    answer = await browser.post("/sign-in", {"email": known, "password": PASSWORD})
    assert answer.status_code == 303
    assert await portal.pool.fetchval("select count(*) from membership where user_id = $1", user_id) == 0


async def test_opening_a_link_uses_nothing(portal):
    email = new_email()
    await ask(portal, email)
    path = await link_to(portal, email, "verify_email")
    for _ in range(3):
        assert (await stranger(portal).get(path)).status_code == 200
    assert await portal.pool.fetchval("select active from users where email = $1", email) is False


async def test_a12_a_link_that_is_clicked_twice_and_at_once_makes_one_organization_and_one_bonus(portal):
    email = new_email()
    await ask(portal, email)
    path = await link_to(portal, email, "verify_email")
    browsers = [stranger(portal) for _ in range(4)]
    answers = await asyncio.gather(*(browser.post(path, {"password": PASSWORD}) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404]
    assert (await stranger(portal).post(path, {"password": PASSWORD})).status_code == 404
    (row,) = await owned(portal, email)
    assert row["balance"] == 100_000_000


async def test_a12_two_links_of_one_address_at_once_make_one_organization(portal):
    email = new_email()
    await ask(portal, email)
    first = await link_to(portal, email, "verify_email")
    await ask(portal, email)
    second = await link_to(portal, email, "verify_email")
    assert first != second
    answers = await asyncio.gather(*(stranger(portal).post(path, {"password": PASSWORD}) for path in (first, second)))
    assert sorted(answer.status_code for answer in answers) in ([303, 303], [303, 404])
    assert len(await owned(portal, email)) == 1


async def test_a11_an_alias_of_the_same_mailbox_gets_no_second_bonus(portal):
    email = new_email()
    alias = email.replace("@", "+again@")
    for address in (email, alias):
        await ask(portal, address)
        await stranger(portal).post(await link_to(portal, address, "verify_email"), {"password": PASSWORD})
    assert [row["balance"] for row in await owned(portal, email)] == [100_000_000]
    assert [row["balance"] for row in await owned(portal, alias)] == [0]


def test_a11_aliases_are_one_mailbox():
    assert mailbox_of("A.b.C+x@GoogleMail.com") == mailbox_of("abc@gmail.com") == "abc@gmail.com"
    assert mailbox_of("a.b+x@example.com") == "a.b@example.com"
    assert mailbox_of("+x@example.com") == "+x@example.com"


async def test_an_unproven_address_can_be_signed_up_again_and_then_the_last_password_counts(portal):
    email = new_email()
    await ask(portal, email, password="attacker's choice", organization="Theirs")
    await ask(portal, email, password="my own password", organization="Mine")
    path = await link_to(portal, email, "verify_email")
    answer = await stranger(portal).post(path, {"password": "attacker's choice"})
    assert answer.status_code == 403
    assert "not the password that was chosen last" in answer.text
    assert (await stranger(portal).post(path, {"password": "my own password"})).status_code == 303
    assert [row["name"] for row in await owned(portal, email)] == ["Mine"]


async def test_nobody_gets_in_before_the_address_is_confirmed_but_gets_the_link_again(portal):
    email, browser = new_email(), stranger(portal)
    await ask(portal, email)
    answer = await browser.post("/sign-in", {"email": email, "password": PASSWORD})
    assert answer.status_code == 401
    assert "has not been confirmed yet" in answer.text
    assert [name for name, _ in await mails_to(portal, email)] == ["verify_email", "verify_email"]


async def test_a_link_ends_after_a_day(portal):
    email = new_email()
    await ask(portal, email)
    path = await link_to(portal, email, "verify_email")
    await portal.pool.execute("update user_link set expires_at = now() where email = $1", email)
    page = await stranger(portal).get(path)
    assert page.status_code == 404
    assert "Ask for a new one" in page.text


async def test_a_mailbox_is_not_flooded_and_always_holds_a_good_link(portal):
    email = new_email()
    for _ in range(5):
        assert (await ask(portal, email)).headers["location"] == "/sign-up/sent"
    assert len(await mails_to(portal, email)) == 2
    path = await link_to(portal, email, "verify_email")
    assert (await stranger(portal).post(path, {"password": PASSWORD})).status_code == 303


async def test_one_network_asks_for_few_mails(portal):
    browser = stranger(portal)
    codes = [(await ask(portal, new_email(), browser=browser)).status_code for _ in range(11)]
    assert codes == [303] * 10 + [429]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "short"}, "at least 8 characters"),
        ({"password": "x1y2" * 33}, "128 characters at the most"),
        ({"password": "Password123"}, "tried first"),
        ({"password": "aaaaaaaabb"}, "tried first"),
        ({"email": "who.am.i@example.com", "password": "who.am.i@example.com"}, "not be your e-mail address"),
        ({"email": "nobody"}, "does not look like"),
        ({"email": "a@b\r\nbcc: c@example.com"}, "does not look like"),
        ({"email": "\x00@example.com"}, "does not look like"),
        ({"organization": "x" * 121}, "1 to 120 characters"),
        ({"organization": "a\x07b"}, "cannot be printed"),
    ],
)
async def test_bad_values_are_told_beside_what_was_typed(portal, fields, says):
    answer = await ask(portal, **{"email": new_email(), **fields})
    assert answer.status_code == 422
    assert says in answer.text
    assert fields.get("password", "-none-") not in answer.text or "email" in fields


async def test_a_closed_sign_up_is_for_the_invited(portal, owner, monkeypatch):
    closed = portal.settings.portal.model_copy(update={"sign_up_open": False})
    monkeypatch.setattr(portal.settings, "portal", closed)
    stranger_email, invited = new_email(), new_email()
    await portal.pool.execute(
        "insert into invitation (organization_id, email, role, token_digest, expires_at)"
        " values ($1, $2, 'viewer', sha256($2::text::bytea), now() + interval '1 day')",
        owner.organization.id,
        invited,
    )
    assert "by invitation" in (await stranger(portal).get("/sign-up")).text
    for email in (stranger_email, invited):
        assert (await ask(portal, email, organization="")).status_code == 303
    assert await mails_to(portal, stranger_email) == []
    browser = stranger(portal)
    await browser.post(await link_to(portal, invited, "verify_email"), {"password": PASSWORD})
    assert await owned(portal, invited) == []
    assert "You are in no organization yet" in (await browser.get("/organizations")).text

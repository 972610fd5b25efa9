"""Owners get one link each to choose a password, when the operator says so, and by it they come in."""

from urllib.parse import urlsplit

from domain.outbox import values_of
from domain.passwords import NO_PASSWORD
from tests.legacy import Old, digest_of_tables
from tests.portals import running_portal


async def mails(new) -> list[tuple[str, str, dict[str, str]]]:
    rows = await new.connection.fetch(
        "select id, template, recipient, content from outbox_message order by created_at, id"
    )
    return [
        (row["template"], row["recipient"], values_of(new.settings.secrets, row["id"], row["content"])) for row in rows
    ]


async def test_nobody_is_mailed_unless_the_operator_says_so_and_then_once(old: Old, new):
    await old.plan("basic")
    for email in ("a@example.com", "b@example.com", None, "B@example.com"):
        await old.client(email)
    await new.take(old)
    assert await mails(new) == []
    dry = await new.take(old, dry_run=True, send_reset_links=True)
    assert dry.totals.reset_links == 2
    assert await mails(new) == []
    run = await new.take(old, send_reset_links=True)
    assert run.totals.reset_links == 2
    assert sorted((template, to) for template, to, _ in await mails(new)) == [
        ("imported_account", "a@example.com"), ("imported_account", "b@example.com"),
    ]  # fmt: skip
    stored = await digest_of_tables(new.connection)
    again = await new.take(old, send_reset_links=True)
    assert again.totals.reset_links == 0
    assert await digest_of_tables(new.connection) == stored


async def test_a_dry_run_counts_those_who_are_not_here_yet(old: Old, new):
    await old.plan("basic")
    for number in range(5):
        await old.client(f"p{number}@example.com")
    assert (await new.take(old, dry_run=True, send_reset_links=True)).totals.reset_links == 5
    assert (await new.take(old, send_reset_links=True)).totals.reset_links == 5


async def test_with_a_password_or_by_its_own_link_nobody_is_mailed(old: Old, new):
    await new.connection.execute(
        "insert into users (username, email, password, active, email_verified_at, last_login)"
        " values ('has@example.com', 'has@example.com', 'x', true, now(), null), ('seen@example.com', 'seen@example.com', $1, true, now(), now())",
        NO_PASSWORD,
    )
    await old.plan("basic")
    for email in ("has@example.com", "seen@example.com"):
        await old.client(email)
    assert (await new.take(old, send_reset_links=True)).totals.reset_links == 0


async def test_the_link_sets_a_password_that_signs_in_and_without_it_nothing_does(old: Old, new):
    await old.plan("basic")
    client = await old.client("owner@example.com", name="Shop")
    await old.key(client)
    await new.take(old, send_reset_links=True)
    link = urlsplit((await mails(new))[0][2]["link"]).path
    async with running_portal(new.settings) as portal:
        for guess in (NO_PASSWORD, "", "entirely new words"):
            answer = await portal.browser().post("/sign-in", {"email": "owner@example.com", "password": guess})
            assert answer.status_code in {401, 422, 400}
        answer = await portal.browser().post(link, {"password": "entirely new words"})
        assert answer.status_code == 303, answer.text
        browser = portal.browser()
        answer = await browser.post("/sign-in", {"email": "owner@example.com", "password": "entirely new words"})
        assert answer.status_code == 303
        keys = await browser.get("/o/shop/keys")
        assert "Imported key sk_" in keys.text

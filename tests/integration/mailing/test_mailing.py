"""Mails out of the outbox, through a real socket or into a folder: at least once, and never with what is not theirs."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from email import message_from_bytes
from email.policy import default

import pytest
from pydantic import SecretStr

from domain import mail_transport
from domain.databases import open_pool
from domain.mail_transport import NotTaken, OutgoingMail, message_of
from domain.mailing import LEASE_SECONDS, MOST_ATTEMPTS, Mailer, wait_after
from domain.outbox import post_mail
from tests.deadlines import until
from tests.portals import portal_settings
from tests.wire.smtp_peer import smtp_peer

LINK = {"email": "ada@example.com", "link": "http://localhost:3000/verify/secret-token"}


@pytest.fixture
async def ground(fresh_database_url, redis_url, tmp_path):
    """Settings and a pool on a database in which nothing waits."""
    settings = portal_settings(fresh_database_url, redis_url, tmp_path / "mail")
    pool = await open_pool(settings.database, "test of mails")
    yield settings, pool
    await pool.close()


def by_smtp(settings, peer):
    """The settings with this mail server."""
    settings.mail = settings.mail.model_copy(update={"smtp_url": SecretStr(peer.url)})
    return settings


async def post(ground, template="verify_email", values=None, to="ada@example.com"):
    """Queue a mail; its id."""
    settings, pool = ground
    async with pool.acquire() as connection:
        return await post_mail(connection, settings.secrets, template=template, to=to, values=values or LINK)


async def row_of(pool, message_id):
    return await pool.fetchrow("select *, due_at - now() as wait from outbox_message where id = $1", message_id)


async def test_a_mail_arrives_as_text_and_html_and_its_content_is_emptied(ground):
    settings, pool = ground
    async with smtp_peer() as peer:
        message_id = await post(ground)
        assert await Mailer(pool, by_smtp(settings, peer)).deliver_due() == 1
    (taken,) = peer.taken
    assert (taken.sender, taken.recipients) == ("no-reply@localhost", ["ada@example.com"])
    message = taken.message
    assert message["subject"] == "Confirm your e-mail address"
    assert message["message-id"] == f"<{message_id}@localhost>"
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert LINK["link"] in text
    assert f'href="{LINK["link"]}"' in html
    assert "<img" not in html
    row = await row_of(pool, message_id)
    assert (row["state"], row["content"], row["last_error"], row["attempts"]) == ("delivered", b"", "", 1)


async def test_g7_without_a_mail_server_mails_are_files_that_only_we_can_read(ground):
    settings, pool = ground
    message_id = await post(ground)
    await Mailer(pool, settings).deliver_due()
    (file,) = settings.mail.folder.iterdir()
    assert file.name.endswith(f"-{message_id}.eml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.mail.folder.stat().st_mode) == 0o700
    assert message_from_bytes(file.read_bytes(), policy=default)["to"] == "ada@example.com"


async def test_a_refused_mail_is_tried_again_later_and_less_and_less_often(ground):
    settings, pool = ground
    async with smtp_peer("refuse", "refuse") as peer:
        message_id = await post(ground)
        mailer = Mailer(pool, by_smtp(settings, peer))
        assert await mailer.deliver_due() == 1
        row = await row_of(pool, message_id)
        assert (row["state"], row["last_error"]) == ("waiting", "451 not now")
        assert 0 < row["wait"].total_seconds() <= 5
        assert await mailer.deliver_due() == 0
        for _ in range(2):
            await pool.execute("update outbox_message set due_at = now() where id = $1", message_id)
            await mailer.deliver_due()
        assert (await row_of(pool, message_id))["state"] == "delivered"
    assert len(peer.taken) == 1
    assert [wait_after(n).total_seconds() for n in (1, 2, 3, 20)] == [5, 10, 20, 3600]


async def test_what_is_refused_for_good_or_too_often_is_given_up_and_emptied(ground):
    settings, pool = ground
    async with smtp_peer("refuse_for_good", "refuse") as peer:
        mailer = Mailer(pool, by_smtp(settings, peer))
        for error in ("550 no such mailbox", "451 not now"):
            message_id = await post(ground)
            if error.startswith("451"):
                await pool.execute(
                    "update outbox_message set attempts = $1 where id = $2", MOST_ATTEMPTS - 1, message_id
                )
            await mailer.deliver_due()
            row = await row_of(pool, message_id)
            assert (row["state"], row["content"], row["last_error"]) == ("failed", b"", error)


async def test_a_server_that_hangs_cuts_or_is_away_delays_only_its_own_mail(ground, monkeypatch):
    settings, pool = ground
    monkeypatch.setattr(mail_transport, "WHOLE_SECONDS", 0.5)
    async with smtp_peer("hang", "cut_after_data") as peer:
        first = await post(ground)
        second = await post(ground)
        third = await post(ground)
        await Mailer(pool, by_smtp(settings, peer)).deliver_due()
        rows = [await row_of(pool, message_id) for message_id in (first, second, third)]
    assert sorted(row["state"] for row in rows) == ["delivered", "waiting", "waiting"]
    errors = " ".join(row["last_error"] for row in rows)
    assert "TimeoutError" in errors
    fourth = await post(ground)
    await Mailer(pool, settings).deliver_due()
    assert (await row_of(pool, fourth))["state"] == "waiting"


async def test_two_processes_share_the_work_and_send_nothing_twice(ground):
    settings, pool = ground
    async with smtp_peer() as peer:
        ids = {str(await post(ground, to=f"user{number}@example.com")) for number in range(40)}
        mailers = [Mailer(pool, by_smtp(settings, peer)) for _ in range(3)]

        async def drain(mailer):
            while await mailer.deliver_due():
                pass

        await asyncio.gather(*map(drain, mailers))
    sent = [taken.message["message-id"].strip("<>").partition("@")[0] for taken in peer.taken]
    assert sorted(sent) == sorted(ids)


CHILD = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from domain.databases import open_pool
from domain.mailing import Mailer
from tests.portals import portal_settings

async def main(database_url, smtp_url):
    settings = portal_settings(database_url, "redis://127.0.0.1:1/0", Path("."))
    settings.mail = settings.mail.model_copy(update={"smtp_url": SecretStr(smtp_url)})
    await Mailer(await open_pool(settings.database, "child"), settings).run()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_that_is_killed_while_it_sends_leaves_the_mail_to_the_next(ground, fresh_database_url):
    settings, pool = ground
    async with smtp_peer("hang") as peer:
        message_id = await post(ground)
        child = subprocess.Popen([sys.executable, "-c", CHILD, fresh_database_url, peer.url])
        await until(lambda: not peer.moods, 20, "the connection of the child")
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        row = await row_of(pool, message_id)
        assert (row["state"], row["attempts"]) == ("waiting", 1)
        assert 0 < row["wait"].total_seconds() <= LEASE_SECONDS
        assert await Mailer(pool, by_smtp(settings, peer)).deliver_due() == 0
        await pool.execute("update outbox_message set due_at = now() where id = $1", message_id)
        await Mailer(pool, settings).deliver_due()
    assert [taken.message["message-id"] for taken in peer.taken] == [f"<{message_id}@localhost>"]


async def test_a_mail_that_cannot_be_made_is_given_up_at_once(ground):
    settings, pool = ground
    unknown = await post(ground, template="no_such_mail")
    lacking = await post(ground, values={"email": "x"})
    other_key = await post(ground)
    await pool.execute("update outbox_message set content = '\\x0001' where id = $1", other_key)
    await Mailer(pool, settings).deliver_due()
    for message_id, says in ((unknown, "no mail"), (lacking, "value for link"), (other_key, "cannot be opened")):
        row = await row_of(pool, message_id)
        assert row["state"] == "failed"
        assert says in row["last_error"]


async def test_a_password_is_never_sent_without_tls_to_another_machine(ground, monkeypatch):
    settings, _ = ground
    seen = []

    async def record(*_, **options):
        seen.append((options["use_tls"], options["start_tls"], options["port"], options["username"]))

    monkeypatch.setattr(mail_transport.aiosmtplib, "send", record)
    for url in ("smtp://me:p%40ss@mail.example.com", "smtps://me:x@mail.example.com", "smtp://127.0.0.1:2525"):
        await mail_transport._to_server(url, None, "a@b")
    assert seen == [(False, True, 587, "me"), (True, False, 465, "me"), (False, None, 2525, None)]
    del settings


async def test_no_value_makes_a_header(ground):
    settings, pool = ground
    values = {"email": "x\r\nBcc: victim@example.com", "link": "http://localhost/x"}
    message_id = await post(ground, values=values)
    async with smtp_peer() as peer:
        await Mailer(pool, by_smtp(settings, peer)).deliver_due()
    message = peer.taken[0].message
    assert message["bcc"] is None
    assert peer.taken[0].recipients == ["ada@example.com"]
    assert "x Bcc: victim@example.com" in message.get_body(("plain",)).get_content()
    row = await row_of(pool, message_id)
    mail = OutgoingMail(row["id"], row["created_at"], "a@b\r\nBcc: victim@example.com", None)
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        message_of(settings.mail, mail)
    with pytest.raises(NotTaken):
        await mail_transport.send(settings.mail, mail)

"""The mailbox of development: whole where it is on, and nowhere else."""

import pytest
from pydantic import SecretStr

from domain.mailing import Mailer
from tests.mailboxes import new_email, stranger
from tests.portals import PASSWORD


@pytest.fixture
def switched_on(portal, monkeypatch):
    """The portal with its mailbox."""
    monkeypatch.setattr(portal.settings, "mail", portal.settings.mail.model_copy(update={"mailbox": True}))


async def deliver(portal):
    mailer = Mailer(portal.pool, portal.settings)
    while await mailer.deliver_due():
        pass


@pytest.mark.usefixtures("switched_on")
async def test_mails_are_listed_and_their_links_can_be_followed(portal):
    await portal.organization()
    email, browser = new_email(), stranger(portal)
    assert (await browser.get("/dev/mailbox")).status_code == 200
    await browser.post("/sign-up", {"email": email, "password": PASSWORD, "organization": "<script>"})
    await deliver(portal)
    page = (await browser.get("/dev/mailbox")).text
    assert email in page
    row = page.rpartition(email)[0].rpartition('href="')[2].partition('"')[0]
    mail = (await browser.get(row)).text
    link = mail.partition('<a href="http://localhost:3000/verify/')[2].partition('"')[0]
    assert (await browser.get(f"/verify/{link}")).status_code == 200
    for name in ("..%2f..%2fsecret", "nothing", "20260101T000000-" + "0" * 36):
        assert (await browser.get(f"/dev/mailbox/{name}")).status_code == 404


async def test_it_does_not_exist_unless_switched_on(portal):
    for path in ("/dev/mailbox", "/dev/mailbox/20260101T000000-" + "0" * 36):
        assert (await stranger(portal).get(path)).status_code == 404


@pytest.mark.usefixtures("switched_on")
async def test_it_does_not_exist_where_mails_are_sent_or_the_portal_is_public(portal, monkeypatch):
    browser = stranger(portal)
    sending = portal.settings.mail.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:25")})
    with monkeypatch.context() as patch:
        patch.setattr(portal.settings, "mail", sending)
        assert (await browser.get("/dev/mailbox")).status_code == 404
    public = portal.settings.portal.model_copy(update={"public_url": "https://localhost:3000"})
    monkeypatch.setattr(portal.settings, "portal", public)
    assert (await browser.get("/dev/mailbox")).status_code == 404

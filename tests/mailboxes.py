"""What the portal mailed to somebody, read from the outbox as the deliverer reads it."""

import secrets

from domain.outbox import values_of


async def mails_to(portal, email: str) -> list[tuple[str, dict[str, str]]]:
    """Template and values of every mail that waits for the address, oldest first."""
    rows = await portal.pool.fetch(
        "select id, template, content from outbox_message where recipient = $1 and state = 'waiting' order by created_at, id",
        email,
    )
    return [(row["template"], values_of(portal.settings.secrets, row["id"], row["content"])) for row in rows]


async def link_to(portal, email: str, template: str) -> str:
    """The path of the link in the last such mail."""
    links = [values["link"] for name, values in await mails_to(portal, email) if name == template]
    return links[-1].removeprefix(portal.settings.portal.base_url)


def stranger(portal):
    """A browser without cookies at an address that no other test uses."""
    return portal.browser()


def new_email() -> str:
    """An address that nobody has."""
    return f"new-{secrets.token_hex(6)}@example.com"

"""A test mail on the way that every mail takes, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import audit
from domain.faults import NotFound
from domain.outbox import post_mail
from domain.settings import Settings

_FATE = """
select id, template, recipient, created_at, state, due_at, attempts, ended_at, last_error from outbox_message where id = $1
"""


@dataclass(frozen=True, slots=True)
class Fate:
    """A mail without its content. `state` is waiting, delivered or failed; `due_at` is the next try of one that waits."""

    id: UUID
    template: str
    recipient: str
    created_at: datetime
    state: str
    due_at: datetime
    attempts: int
    ended_at: datetime | None
    last_error: str


async def send_test_mail(connection: Any, settings: Settings, actor: audit.Actor, *, reason: str) -> UUID:
    """Queue a test mail to whoever acts; its id. Inside a transaction: the mailer sends it after the commit."""
    message_id = await post_mail(
        connection, settings.secrets, template="test_mail", to=actor.name, values={"email": actor.name}
    )
    thing = audit.Thing("mail", str(message_id), actor.name)
    await audit.record(connection, actor, audit.Verb.MAIL_TEST, thing, after={"to": actor.name}, reason=reason)
    return message_id


async def fetch_fate(connection: Any, message_id: UUID) -> Fate:
    """What became of a mail. Raises NotFound."""
    row = await connection.fetchrow(_FATE, message_id)
    if row is None:
        raise NotFound("There is no such mail.")
    return Fate(**dict(row))

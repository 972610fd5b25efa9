"""Delivers what is in the outbox, at least once: several processes share the work, and one that dies loses nothing.

A mail is claimed for LEASE_SECONDS by setting when it is due again. Whoever dies meanwhile leaves it to the next, who
sends it under the same Message-ID. Contents are emptied at the end, as links in them open accounts.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from domain.databases import AWAY, Pool
from domain.faults import Fault, in_one_line
from domain.mail_texts import render
from domain.mail_transport import WHOLE_SECONDS, NotTaken, OutgoingMail, send
from domain.outbox import values_of
from domain.settings import Settings

log = logging.getLogger("paid_endpoint.mail")

BATCH = 8
LEASE_SECONDS = 2 * WHOLE_SECONDS
MOST_ATTEMPTS = 10
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
POLL_SECONDS, AFTER_FAULT_SECONDS = 0.5, 3.0
ERROR_LENGTH = 300

_CLAIM = """
with due as (
    select id from outbox_message where state = 'waiting' and due_at <= now()
     order by due_at limit $1 for update skip locked
)
update outbox_message m set attempts = m.attempts + 1, due_at = now() + $2::interval from due
 where m.id = due.id returning m.id, m.created_at, m.template, m.recipient, m.content, m.attempts
"""
_END = """
update outbox_message set state = $3, ended_at = now(), content = '', last_error = $4
 where id = $1 and attempts = $2 and state = 'waiting'
"""
_LATER = "update outbox_message set due_at = now() + $3, last_error = $4 where id = $1 and attempts = $2"


class Mailer:
    """The deliverer of one process."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings

    async def run(self) -> None:
        """Deliver until cancelled. While the database is away, look again every few seconds."""
        while True:
            try:
                if await self.deliver_due() == 0:
                    await asyncio.sleep(POLL_SECONDS)
            except AWAY as fault:
                log.warning("mails wait: %s", in_one_line(fault))
                await asyncio.sleep(AFTER_FAULT_SECONDS)

    async def deliver_due(self) -> int:
        """Try every mail that is due, some at once. Returns how many were tried."""
        rows = await self._pool.fetch(_CLAIM, BATCH, timedelta(seconds=LEASE_SECONDS))
        await asyncio.gather(*(self._deliver(row) for row in rows))
        return len(rows)

    async def _deliver(self, row: Any) -> None:
        if row["attempts"] > MOST_ATTEMPTS:
            # Nobody lived to note how the last attempt ended.
            await self._note_failure(row, NotTaken("It was tried too often.", for_good=True))
            return
        try:
            await send(self._settings.mail, self._mail(row))
        except NotTaken as fault:
            await self._note_failure(row, fault)
        except Fault as fault:
            await self._note_failure(row, NotTaken(str(fault), for_good=True))
        else:
            await self._pool.execute(_END, row["id"], row["attempts"], "delivered", "")

    def _mail(self, row: Any) -> OutgoingMail:
        portal = self._settings.portal
        values = values_of(self._settings.secrets, row["id"], row["content"])
        content = render(row["template"], {"product": portal.name, "base_url": portal.base_url, **values})
        return OutgoingMail(row["id"], row["created_at"], row["recipient"], content)

    async def _note_failure(self, row: Any, fault: NotTaken) -> None:
        reason = " ".join(str(fault).split())[:ERROR_LENGTH]
        log.warning("mail %s was not taken (attempt %d): %s", row["id"], row["attempts"], reason)
        if fault.for_good or row["attempts"] >= MOST_ATTEMPTS:
            await self._pool.execute(_END, row["id"], row["attempts"], "failed", reason)
        else:
            await self._pool.execute(_LATER, row["id"], row["attempts"], wait_after(row["attempts"]), reason)


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: each time twice as long, to an hour."""
    return min(FIRST_WAIT * (1 << (attempts - 1)), LONGEST_WAIT)

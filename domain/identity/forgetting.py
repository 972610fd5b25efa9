"""What nobody needs any more is not kept: ended sessions, dead links, mails that were sent, answers that were repeated."""

from typing import Any

from domain.api_replies import KEPT_HOURS

# Links of who never confirmed an address stay: the last one holds the name of the organization that they asked for.
_DEAD = (
    "delete from portal_session where expires_at < now() - interval '1 day'",
    """delete from user_link l using users u
        where u.id = l.user_id and u.email_verified_at is not null and l.expires_at < now() - interval '7 days'""",
    "delete from outbox_message where state <> 'waiting' and ended_at < now() - interval '30 days'",
    f"delete from api_reply where created_at < now() - interval '{KEPT_HOURS} hours'",
)


async def forget_dead(connection: Any) -> int:
    """Delete it, each kind in a statement of its own; how many rows. Safe to repeat, and to run twice at once."""
    return sum([int((await connection.execute(statement)).rpartition(" ")[2]) for statement in _DEAD])

"""What nobody needs any more is not kept: each kind of row with its statement, deleted in bounded batches.

Tries at signing in are counted in Redis and expire there by themselves. What the trail, the ledger and the summaries of
logs hold stays.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.api_replies import KEPT_HOURS
from domain.settings import Settings

BATCH = 2_000
_NOTICES_KEPT = timedelta(days=400)
"""Longer than anything that an organization is told of once can last."""

# $1: what is older; $2: how many at the most.
_STATEMENTS: Mapping[str, str] = {
    "sessions": """delete from portal_session where id in (
        select id from portal_session where expires_at < $1 order by expires_at limit $2 for update skip locked)""",
    # Of who never confirmed an address they stay: the last one holds the name of the organization that they asked for.
    "links": """delete from user_link where id in (
        select l.id from user_link l join users u on u.id = l.user_id
         where u.email_verified_at is not null and l.expires_at < $1 limit $2 for update of l skip locked)""",
    "access tokens": """delete from access_token where id in (
        select id from access_token where least(expires_at, revoked_at) < $1 limit $2 for update skip locked)""",
    "invitations": """delete from invitation where id in (
        select id from invitation where least(expires_at, accepted_at, withdrawn_at) < $1
         limit $2 for update skip locked)""",
    "answers of the API": """delete from api_reply where id in (
        select id from api_reply where created_at < $1 order by created_at limit $2 for update skip locked)""",
    "idempotency keys": """delete from idempotent_request where id in (
        select id from idempotent_request where expires_at < $1 and state = 'done' order by expires_at
         limit $2 for update skip locked)""",
    "mails": """delete from outbox_message where id in (
        select id from outbox_message where state <> 'waiting' and ended_at < $1 limit $2 for update skip locked)""",
    "webhook deliveries": """delete from webhook_delivery where id in (
        select id from webhook_delivery where state <> 'waiting' and ended_at < $1 limit $2 for update skip locked)""",
    # One that was written just now has no delivery yet only within its transaction, which nobody else sees.
    "webhook events": """delete from webhook_event where id in (
        select e.id from webhook_event e where e.created_at < $1
           and not exists (select from webhook_delivery d where d.event_id = e.id)
         order by e.created_at limit $2 for update skip locked)""",
    "notices": """delete from notice where id in (
        select id from notice where created_at < $1 limit $2 for update skip locked)""",
    # Where a window is over, or nothing was reached, no row says the same.
    "alerts": """delete from alert_state where id in (
        select id from alert_state where period_ends < $1 or (period_ends is null and level = 0 and since < $1)
         limit $2 for update skip locked)""",
}
KINDS = tuple(_STATEMENTS)


def ages(settings: Settings) -> Mapping[str, timedelta]:
    """How long after its end each kind is kept."""
    kept = timedelta(days=settings.jobs.kept_days)
    return {
        "sessions": timedelta(days=1),
        "links": timedelta(days=7),
        "access tokens": kept,
        "invitations": kept,
        "answers of the API": timedelta(hours=KEPT_HOURS),
        "idempotency keys": timedelta(0),
        "mails": kept,
        "webhook deliveries": kept,
        "webhook events": kept,
        "notices": _NOTICES_KEPT,
        "alerts": kept,
    }


async def forget(connection: Any, kind: str, before: datetime, *, most: int = BATCH) -> int:
    """Delete at most so many rows of a kind that ended before; how many. Call it again while it is `most`.

    Safe to repeat, and to run twice at once.
    """
    done = await connection.execute(_STATEMENTS[kind], before, most)
    return int(done.rpartition(" ")[2])

"""How many credits one operator may give away in 24 hours: what they grant, correct upwards, book and begin customers with.

Nobody is exempt, superusers neither: the cap is for the session that was stolen and the zero too many. Who sets the
environment of the processes sets the cap. What comes back for a request that was charged is not given.
"""

from typing import Any

from domain import audit
from domain.credit_amounts import MICRO, credits_text
from domain.faults import Conflict

SETTING = "ADMIN_GIVEN_CREDITS_PER_DAY"
_GIVEN = """
select coalesce(sum(greatest((after->>'credits')::numeric, 0) * 1000000), 0)::bigint from audit_entry
 where actor_id = $1 and actor_kind = 'operator' and created_at > now() - interval '24 hours' and verb = any($2::text[])
"""
_VERBS = [
    audit.Verb.CREDITS_GRANT.value,
    audit.Verb.CREDITS_ADJUST.value,
    audit.Verb.CREDITS_BOOK_PAYMENT.value,
    audit.Verb.ORGANIZATION_CREATE.value,
]


async def given_lately(connection: Any, actor: audit.Actor) -> int:
    """Micro-credits that the operator gave in the last 24 hours, by the audit, whose entries are the grants' own."""
    given: int = await connection.fetchval(_GIVEN, actor.id, _VERBS)
    return given


async def require_room(connection: Any, actor: audit.Actor, amount_micro: int, most: int) -> None:
    """Raise Conflict if the operator would have given more than `most` credits with these; 0: there is no cap."""
    if not _counts(actor, amount_micro, most):
        return
    given = await given_lately(connection, actor)
    if given + amount_micro > most * MICRO:
        raise Conflict(
            f"An operator gives at most {most} credits in 24 hours ({SETTING}). You have given {credits_text(given)},"
            f" so {credits_text(max(0, most * MICRO - given))} are left."
        )


async def take_room(connection: Any, actor: audit.Actor, amount_micro: int, most: int) -> None:
    """The same before a change: until the transaction's end, others of this operator wait, and then see what it gave."""
    if _counts(actor, amount_micro, most):
        await connection.execute("select from users where id = $1 for no key update", actor.id)
    await require_room(connection, actor, amount_micro, most)


def _counts(actor: audit.Actor, amount_micro: int, most: int) -> bool:
    return most > 0 and amount_micro > 0 and actor.kind == "operator"

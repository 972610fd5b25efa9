"""An Idempotency-Key on a write of an operation that replays: the first request claims it, repeats get what came of it.

Refuses with 400, 409, 422, or 503 where the database gives no answer: nothing runs twice because we could not look. A
refused repeat has consumed nothing; one that is answered counts against limits and costs nothing. On other operations,
and without the field, nothing of this happens.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.journal.decision import Flag
from domain.refusals import Refusal, StillRunning
from domain.replays import Claim, fingerprint_of
from gateway.idempotency_keys import idempotency_key
from gateway.keeping import Keeping
from gateway.repeats import Repeat

if TYPE_CHECKING:
    from gateway.exchange import Exchange

METHODS = frozenset((b"POST", b"PUT", b"PATCH", b"DELETE"))
RETRY_SECONDS = 1


def replay_outcome(exchange: "Exchange") -> Awaitable[None] | None:
    """Let the request go on, with a `Keeping` as its sink, or answer it with what is kept."""
    operation = exchange.matched.operation
    if operation is None or not operation.replays:
        return None
    request = exchange.request
    if request.method not in METHODS or request.upgrade:
        return None
    try:
        key = idempotency_key(request.headers)
    except Refusal:
        exchange.give_back_permits()
        raise
    return None if key is None else _claim(exchange, key)


async def _claim(exchange: "Exchange", key: str) -> None:
    request, operation, outcomes = exchange.request, exchange.matched.operation, exchange.services.outcomes
    assert operation is not None
    exchange.decided |= Flag.KEYED
    target = request.target_path + b"?" + request.query if request.has_query else request.target_path
    seen = fingerprint_of(request.method, target)
    wanted = Claim(exchange.request_id, exchange.key.organization_id, operation.id, key, seen.digest())
    try:
        earlier = await outcomes.claim(wanted)
        if earlier is not None and earlier.outcome is None and not exchange.finished:
            raise StillRunning(retry_after_seconds=RETRY_SECONDS)
    except Refusal:
        exchange.give_back_permits()
        raise
    if exchange.finished:
        # The client left while we asked.
        if earlier is None:
            outcomes.withdraw(wanted.id)
    elif earlier is None or earlier.outcome is None:
        Keeping(exchange, seen)
    else:
        await Repeat(exchange, earlier.outcome, seen).over

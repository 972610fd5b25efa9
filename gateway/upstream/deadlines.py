"""Which exchange has waited too long: looked at by one sweep per pool, so a request needs no timer of its own."""

from typing import Final

from gateway.ends import FailureKind
from gateway.upstream.exchange import AWAITING_HEAD, IN_BODY, QUEUED, TUNNEL, TUNNEL_CLOSING, Exchange

SWEEP_SECONDS: Final = 0.05
"""Between two sweeps; a deadline is kept at most two of these late, and never early."""

_CLOSE_SECONDS = 5.0


def overdue(exchange: Exchange, now: float) -> FailureKind | None:
    """The deadline that this exchange missed, if any. While the client is the slower one, none runs but `total`.

    The first-byte deadline is absolute from the end of the request until the final head is whole, so a head that drips
    doesn't move it; until then every progress of the upload does. Connecting is bounded by the dial itself. A tunnel
    has no deadline here: the client's side decides how long it may be silent.
    """
    phase = exchange.phase
    deadlines = exchange.deadlines
    # Stamps are the time of the sweep before the event, so up to one sweep too old.
    waited = now - exchange.since - SWEEP_SECONDS
    if phase >= TUNNEL:
        return "closed" if phase == TUNNEL_CLOSING and waited > _CLOSE_SECONDS else None
    if deadlines.total and now - exchange.begun - SWEEP_SECONDS > deadlines.total:
        return "total_timeout"
    if exchange.paused and phase >= AWAITING_HEAD:
        exchange.since = now
    elif phase == AWAITING_HEAD:
        if _is_uploading(exchange):
            exchange.since = now
        elif deadlines.first_byte and waited > deadlines.first_byte:
            return "first_byte_timeout"
    elif phase == IN_BODY:
        if _is_uploading(exchange):
            exchange.since = now
        elif deadlines.idle and waited > deadlines.idle:
            return "idle_timeout"
    elif phase == QUEUED and deadlines.connect and waited > deadlines.connect:
        return "overloaded"
    return None


def _is_uploading(exchange: Exchange) -> bool:
    """Whether the upload goes on: the upstream takes bytes, or waits for a client that is slower than it."""
    connection = exchange.connection
    if connection is None or exchange.request.body == 0:
        return False
    unsent = connection.transport.get_write_buffer_size()
    moved = unsent != exchange.unsent_seen
    exchange.unsent_seen = unsent
    # In IN_BODY a client that still uploads must not keep a dead answer alive: only real progress counts there.
    waits_for_client = exchange.phase == AWAITING_HEAD and not exchange.finished and unsent == 0
    return moved or waits_for_client

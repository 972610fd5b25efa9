"""W3C Trace Context: a valid `traceparent` is continued, anything else begins a new trace.

A new trace has the request's id as its own (the random part of a version 7 UUID stands on the right, as it should), so
that the one is found by the other; the upstream's parent is the random half of it.

This is all there is while traces are off; which requests leave spans where they are on is in `gateway.sampled`.
"""

from typing import TYPE_CHECKING

from domain.traces.context import is_valid

if TYPE_CHECKING:
    from gateway.exchange import Exchange

_SAMPLED = 1


def continued(traceparent: bytes | None, request_id: bytes) -> tuple[bytes, bytes, bool]:
    """The `traceparent` for the upstream, its trace id, and whether the caller's trace (and `tracestate`) goes on.

    `request_id` are the 16 bytes of a version 7 UUID.
    """
    fresh = request_id.hex().encode()
    if traceparent is not None and is_valid(traceparent):
        trace = traceparent[3:35]
        return b"00-%b-%b-%b" % (trace, fresh[16:], traceparent[53:55]), trace, True
    return b"00-%b-%b-00" % (fresh, fresh[16:]), fresh, False


def begin(exchange: "Exchange", traceparent: bytes | None) -> tuple[bytes, bool]:
    """Give the exchange its trace. The `traceparent` for the upstream, and whether the caller's trace goes on."""
    ours, exchange.trace_id, goes_on = continued(traceparent, exchange.id)
    return ours, goes_on


def with_decision(traceparent: bytes, *, sampled: bool) -> bytes:
    """The same with another word on whether it is sampled; other flags stay."""
    flags = int(traceparent[53:55], 16)
    return b"%b%02x" % (traceparent[:53], flags | _SAMPLED if sampled else flags & ~_SAMPLED)

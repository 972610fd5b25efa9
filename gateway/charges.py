"""What a request costs in the end, and the fields that say so: the rule is `domain.charging`, the price was held before."""

import logging
from typing import TYPE_CHECKING

from domain.charging import UPGRADED, is_charged, reported_cost
from domain.cost_formulas import requested_price
from domain.credit_amounts import credits_text
from gateway.ends import Headers

if TYPE_CHECKING:
    from domain.snapshots import OperationSnapshot
    from gateway.exchange import Exchange

logger = logging.getLogger("paid_endpoint.gateway")

REPORTED = b"x-pe-cost"
"""An upstream's word for what a reserved request cost, in credits; no caller sees it."""


def by_formula(exchange: "Exchange", operation: "OperationSnapshot", cap: int) -> int:
    """Micro-credits that the operation's formula says of this request, whose price is `cap`.

    It hangs on the line and on the fields, so it is worked out each time, of a known head, which has no body, from its
    two parts.
    """
    line, admission, rest = exchange.line, exchange.admission, exchange.matched.rest
    if line is None or admission is None:
        request = exchange.request
        return requested_price(operation, cap, (request.query, request.headers, rest, request.body))
    return requested_price(operation, cap, (line.request[2], admission.fields.headers, rest, 0))


def note_reported(exchange: "Exchange", headers: Headers) -> None:
    """Heed the upstream's X-PE-Cost, if something is reserved. One that can't be: the whole of it is due."""
    hold = exchange.hold
    if hold is None:
        return
    said = [value for name, value in headers if name == REPORTED]
    if not said:
        return
    exchange.reported = reported_cost(said[0], hold.amount) if len(said) == 1 else None
    if exchange.reported is None:
        exchange.due = None
        service = exchange.matched.service.slug
        logger.error("X-PE-Cost of %s is not within what was held: %.80r (%s)", service, said, exchange.request_id)


def cost_of(exchange: "Exchange", outcome: str, status: int) -> int:
    """Micro-credits of a request whose price is held, if it ends so."""
    arrived = exchange.first_byte_ns > 0 or status == UPGRADED
    if not is_charged(exchange.matched.service.charge_on, outcome, status, headers_arrived=arrived):
        return 0
    if exchange.reported is not None:
        return exchange.reported
    return exchange.price if exchange.due is None else exchange.due


def settle(exchange: "Exchange", outcome: str) -> None:
    """Set `exchange.cost`; the rest of what was held is free again. Once for each request with a price."""
    cost = exchange.cost = cost_of(exchange, outcome, exchange.status)
    if exchange.hold is not None:
        exchange.services.holds.ended(exchange.hold)
    elif exchange.wallet is not None:
        exchange.wallet.settle(exchange.price, cost)


def lines(exchange: "Exchange", status: int) -> bytes:
    """The fields of an answer as lines of a head: what it costs if it comes whole, and what remains then.

    Without a `status` it is ours, and costs nothing.
    """
    cost = cost_of(exchange, "served", status) if exchange.price and status else 0
    back = exchange.price - cost
    if exchange.wallet is not None:
        return exchange.wallet.lines(cost, back)
    if exchange.hold is None:
        return b""
    remaining = exchange.hold.remaining + back
    return f"x-credits-charged: {credits_text(cost)}\r\nx-credits-remaining: {credits_text(remaining)}\r\n".encode()


def fields(exchange: "Exchange", status: int) -> Headers:
    """The same as header fields."""
    pairs = (line.split(b": ") for line in lines(exchange, status).split(b"\r\n") if line)
    return [(name, value) for name, value in pairs]

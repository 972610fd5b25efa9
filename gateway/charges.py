"""What a request costs in the end, and the fields that say so: the rule is `domain.charging`, the price was held before."""

import logging
from typing import TYPE_CHECKING

from domain.charging import UPGRADED, is_charged, reported_cost
from domain.credit_amounts import credits_text
from gateway.ends import Headers

if TYPE_CHECKING:
    from domain.credits.holds import Hold
    from domain.credits.wallet import Wallet
    from gateway.exchange import Exchange

logger = logging.getLogger("paid_endpoint.gateway")

REPORTED = b"x-pe-cost"
"""An upstream's word for what a reserved request cost, in credits; no caller sees it."""


class Charge:
    """Of one request: `price` micro-credits are held in `wallet` or as `hold`; none are where it was refused.

    `due` is what it costs by the operation's formula, else the price; `reported` what the upstream says that it cost, if
    that may be; `cost` what it cost, once it is over.
    """

    __slots__ = ("cost", "due", "hold", "price", "reported", "wallet")

    def __init__(self, price: int, wallet: "Wallet | None", hold: "Hold | None" = None, due: int | None = None) -> None:
        self.price, self.wallet, self.hold = price, wallet, hold
        self.due = price if due is None else due
        self.reported: int | None = None
        self.cost = 0

    def heed(self, headers: Headers) -> None:
        """Note the upstream's X-PE-Cost, if something is reserved. Where that can't be, the whole of it is due."""
        hold = self.hold
        if hold is None:
            return
        said = [value for name, value in headers if name == REPORTED]
        if not said:
            return
        self.reported = reported_cost(said[0], hold.amount) if len(said) == 1 else None
        if self.reported is None:
            self.due = self.price
            logger.error("X-PE-Cost %.80r is not within the %d micro-credits held for %s", said, hold.amount, hold.id)

    def cost_of(self, exchange: "Exchange", outcome: str, status: int) -> int:
        """Micro-credits, if it ends so."""
        arrived = exchange.first_byte_ns > 0 or status == UPGRADED
        if not is_charged(exchange.matched.service.charge_on, outcome, status, headers_arrived=arrived):
            return 0
        return self.due if self.reported is None else self.reported

    def settle(self, exchange: "Exchange", outcome: str) -> None:
        """Set `cost`; the rest of what was held is free again. Once."""
        cost = self.cost = self.cost_of(exchange, outcome, exchange.status)
        if self.hold is not None:
            exchange.services.holds.ended(self.hold)
        elif self.wallet is not None:
            self.wallet.settle(self.price, cost)

    def lines(self, exchange: "Exchange", status: int) -> bytes:
        """The fields of an answer as lines of a head: what it costs if it comes whole, and what remains then.

        Without a `status` it is ours, and costs nothing.
        """
        cost = self.cost_of(exchange, "served", status) if status else 0
        if self.wallet is not None:
            return self.wallet.lines(cost, self.price - cost)
        if self.hold is None:
            return b""
        remaining = credits_text(self.hold.remaining + self.price - cost)
        return f"x-credits-charged: {credits_text(cost)}\r\nx-credits-remaining: {remaining}\r\n".encode()

    def fields(self, exchange: "Exchange", status: int) -> Headers:
        """The same as header fields."""
        pairs = (line.split(b": ") for line in self.lines(exchange, status).split(b"\r\n") if line)
        return [(name, value) for name, value in pairs]

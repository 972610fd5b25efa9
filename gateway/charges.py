"""What a request costs in the end, and the fields that say so: the rule is `domain.charging`, the price was held before."""

import logging
from typing import TYPE_CHECKING

from domain.charging import UPGRADED, is_charged, reported_cost
from domain.credit_amounts import credits_text
from gateway.ends import AnswerHead, Headers

if TYPE_CHECKING:
    from domain.credits.holds import Hold, Holds
    from domain.credits.wallet import Wallet
    from gateway.exchange import Exchange

logger = logging.getLogger("paid_endpoint.gateway")

REPORTED = b"x-pe-cost"
"""An upstream's word for what a reserved request cost, in credits; no caller sees it."""


class Charge:
    """`price` micro-credits that are held in a wallet; 0 where the request was refused for want of them.

    The same object serves all requests of one caller to one operation, or one request where a formula makes its price;
    what each of them holds is between it and the wallet.
    """

    __slots__ = ("_charge_on", "_served", "price", "wallet")

    def __init__(self, price: int, wallet: "Wallet", charge_on: str) -> None:
        self.price, self.wallet, self._charge_on = price, wallet, charge_on
        self._served: dict[int, int] = {}

    def heed(self, headers: Headers) -> None:
        """Nothing that an upstream says changes a fixed price."""

    def served(self, status: int) -> int:
        """Micro-credits of an answer that comes whole."""
        cost = self._served.get(status)
        if cost is None:
            cost = self._served[status] = self.cost_of("served", status, arrived=True)
        return cost

    def cost_of(self, outcome: str, status: int, *, arrived: bool) -> int:
        """Micro-credits of a request that ends so; `arrived`: the upstream's headers have."""
        return self.price if is_charged(self._charge_on, outcome, status, headers_arrived=arrived) else 0

    def cost(self, exchange: "Exchange", outcome: str) -> int:
        """The same of an exchange as it stands."""
        arrived = exchange.first_byte_ns > 0 or exchange.status == UPGRADED
        return self.cost_of(outcome, exchange.status, arrived=arrived)

    def settle(self, exchange: "Exchange", outcome: str) -> None:
        """What it costs is spent, the rest of what was held is free again. Once for each request."""
        self.wallet.settle(self.price, self.cost(exchange, outcome))

    def settle_served(self, status: int, number: int) -> None:
        """The same for so many requests at once, whose answers came whole."""
        self.wallet.settle(number * self.price, number * self.served(status))

    def lines(self, status: int) -> bytes:
        """The fields of an answer as lines of a head: what it costs if it comes whole, and what remains then.

        Without a `status` it is ours, and costs nothing.
        """
        cost = self.served(status) if status else 0
        return self.wallet.lines(cost, self.price - cost)

    def lines_of(self, head: AnswerHead) -> bytes:
        """The same for a head that came with its whole answer."""
        self.heed(head.headers)
        return self.lines(head.status)

    def fields(self, status: int) -> Headers:
        """The same as header fields."""
        pairs = (line.split(b": ") for line in self.lines(status).split(b"\r\n") if line)
        return [(name, value) for name, value in pairs]


def settle_served(exchanges: "list[Exchange]") -> None:
    """Settle many at once whose answers came whole, the free ones among them too."""
    charge: Charge | None = None
    status = number = 0
    for exchange in exchanges:
        if exchange.charge is not charge or exchange.status != status:
            if charge is not None:
                charge.settle_served(status, number)
            charge, status, number = exchange.charge, exchange.status, 0
        number += 1
    if charge is not None:
        charge.settle_served(status, number)


class HeldCharge(Charge):
    """One request's, held in the ledger as a reservation; its upstream may say what it cost, within that.

    Until then it is `due`, micro-credits, which is no more than what is held.
    """

    __slots__ = ("_due", "_hold", "_holds")

    def __init__(self, hold: "Hold", holds: "Holds", wallet: "Wallet", charge_on: str, due: int) -> None:
        super().__init__(hold.amount, wallet, charge_on)
        self._hold, self._holds, self._due = hold, holds, due

    def heed(self, headers: Headers) -> None:
        """Note the upstream's X-PE-Cost. Where that can't be, the whole of what is held is due."""
        said = [value for name, value in headers if name == REPORTED]
        if not said:
            return
        cost = reported_cost(said[0], self.price) if len(said) == 1 else None
        if cost is None:
            logger.error(
                "X-PE-Cost %.80r is not within the %d micro-credits held for %s", said, self.price, self._hold.id
            )
        self._due = self.price if cost is None else cost

    def cost_of(self, outcome: str, status: int, *, arrived: bool) -> int:
        """As above, of what is due."""
        return self._due if super().cost_of(outcome, status, arrived=arrived) else 0

    def settle(self, exchange: "Exchange", outcome: str) -> None:
        """The record ends the reservation; from here on nobody prolongs it."""
        del exchange, outcome
        self._holds.ended(self._hold)

    def settle_served(self, status: int, number: int) -> None:
        """The same: it is one."""
        del status, number
        self._holds.ended(self._hold)

    def lines(self, status: int) -> bytes:
        """As above, of what was available beside it."""
        cost = self.served(status) if status else 0
        remaining = credits_text(self._hold.remaining + self.price - cost)
        return f"x-credits-charged: {credits_text(cost)}\r\nx-credits-remaining: {remaining}\r\n".encode()

"""What a request costs in the end, and the fields that say so: the rule is `domain.charging`, the price was held before."""

import logging
from typing import TYPE_CHECKING

from domain.charging import UPGRADED, is_charged, is_paid_in_part, reported_cost
from domain.credit_amounts import credits_text
from gateway.ends import AnswerHead, Headers

if TYPE_CHECKING:
    from domain.credits.holds import Hold, Holds
    from domain.credits.wallet import Wallet
    from gateway.exchange import Exchange
    from gateway.metering import Meter

logger = logging.getLogger("paid_endpoint.gateway")

REPORTED = b"x-pe-cost"
"""An upstream's word for what a reserved request cost, in credits, in the head or behind the body; no caller sees it."""


class Charge:
    """`price` micro-credits that are held in a wallet; 0 where the request was refused for want of them.

    The same object serves all requests of one caller to one operation, or one request where a formula makes its price;
    what each of them holds is between it and the wallet. With a `meter` it is one request's, and the price the most that
    it may cost.
    """

    __slots__ = ("_charge_on", "_meter", "_served", "price", "wallet")

    def __init__(self, price: int, wallet: "Wallet", charge_on: str, meter: "Meter | None" = None) -> None:
        self.price, self.wallet, self._charge_on, self._meter = price, wallet, charge_on, meter
        self._served: dict[int, int] = {}

    def heed(self, headers: Headers) -> None:
        """Nothing that an upstream says changes a fixed price."""
        if self._meter is not None:
            self._meter.heed(headers)

    def heed_trailer(self, name: bytes, value: bytes) -> None:
        """The same of a field behind the body."""

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
        """The same of an exchange as it stands. What is metered is paid as far as it was delivered, however it ended."""
        status, sent = exchange.status, exchange.bytes_out
        arrived = exchange.first_byte_ns > 0 or status == UPGRADED
        delivered = None if self._meter is None else self._meter.cost(sent)
        if delivered is None or (outcome == "served" and self._is_told()):
            return self.cost_of(outcome, status, arrived=arrived)
        paid = is_paid_in_part(self._charge_on, outcome, status, headers_arrived=arrived, sent=sent)
        return min(delivered, self._most()) if paid else 0

    def capped(self, exchange: "Exchange", outcome: str) -> int:
        """What spend caps count of it."""
        return self.cost(exchange, outcome)

    def settle(self, exchange: "Exchange", outcome: str) -> None:
        """What it costs is spent, the rest of what was held is free again. Once for each request."""
        self.wallet.settle(self.price, self.cost(exchange, outcome))

    def settle_served(self, status: int, number: int) -> None:
        """The same for so many requests at once, whose answers came whole."""
        self.wallet.settle(number * self.price, number * self.served(status))

    def lines(self, status: int) -> bytes:
        """The fields of an answer as lines of a head: what it costs if it comes whole, and what remains then; or, where
        that is not known yet, the most that it may cost.

        Without a `status` it is ours, and costs nothing.
        """
        cost = self.served(status) if status else 0
        if self._meter is not None:
            return self._lines(cost, self.wallet.remaining(), is_open=self._is_open())
        return self.wallet.lines(cost, self.price - cost)

    def lines_of(self, head: AnswerHead) -> bytes:
        """The same for a head that came with its whole answer."""
        self.heed(head.headers)
        return self.lines(head.status)

    def fields(self, status: int) -> Headers:
        """The same as header fields."""
        pairs = (line.split(b": ") for line in self.lines(status).split(b"\r\n") if line)
        return [(name, value) for name, value in pairs]

    def _lines(self, cost: int, remaining: int, *, is_open: bool) -> bytes:
        said = b"at-most" if cost and is_open else b"charged"
        amounts = credits_text(cost).encode(), credits_text(remaining + self.price - cost).encode()
        return b"x-credits-%b: %b\r\nx-credits-remaining: %b\r\n" % (said, *amounts)

    def _most(self) -> int:
        return self.price

    def _is_told(self) -> bool:
        """Whether the upstream has said what the whole answer costs."""
        return False

    def _is_open(self) -> bool:
        """Whether it may still cost less, even if it comes whole."""
        return self._meter is not None and not self._is_told() and self._meter.cost(1) is not None


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

    __slots__ = ("_announced", "_due", "_hold", "_holds", "_told", "_told_last")

    def __init__(
        self, hold: "Hold", holds: "Holds", wallet: "Wallet", charge_on: str, due: int, meter: "Meter | None" = None
    ) -> None:
        super().__init__(hold.amount, wallet, charge_on, meter)
        self._hold, self._holds, self._due = hold, holds, due
        self._announced = self._told = False
        self._told_last: list[bytes] = []

    def heed(self, headers: Headers) -> None:
        """Note the upstream's X-PE-Cost. Where that can't be, the whole of what is held is due."""
        super().heed(headers)
        said = [value for name, value in headers if name == REPORTED]
        self._announced = any(name == b"trailer" and REPORTED in value.lower() for name, value in headers)
        if said:
            self._take(said)

    def heed_trailer(self, name: bytes, value: bytes) -> None:
        """The same; the last word goes before what the head said."""
        if name == REPORTED:
            self._told_last.append(value)
            self._take(self._told_last)

    def _take(self, said: list[bytes]) -> None:
        self._told = True
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
        most = self.price if self._announced else self._due
        cost = most if status and super().cost_of("served", status, arrived=True) else 0
        return self._lines(cost, self._hold.remaining, is_open=self._is_open())

    def _most(self) -> int:
        return self._due

    def _is_told(self) -> bool:
        return self._told

    def _is_open(self) -> bool:
        return self._announced or super()._is_open()

"""The price of the operation, held before the request goes upstream: from this worker's wallet, or as a reservation.

Refuses with 402; a refused request has consumed nothing, so its permits go back too. Where the ledger must be asked and
gives no answer, 503, never free (G2, G5). What it costs in the end is `gateway.charges`.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.journal.decision import Flag
from domain.prices import price_micro
from domain.refusals import Refusal
from gateway.charges import Charge
from gateway.keeping import Keeping

if TYPE_CHECKING:
    from domain.credits.wallet import Wallet
    from domain.snapshots import OperationSnapshot
    from gateway.exchange import Exchange


def charge_credits(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.charge` once the price is held. Free requests are let through without."""
    admission = exchange.admission
    operation = exchange.matched.operation
    price = price_micro(exchange.plan, operation) if admission is None else admission.price
    if not price or operation is None or (exchange.key.billing_mode == "quota" and not exchange.overage):
        return None
    if operation.reserved:
        return _reserve(exchange, operation, price, _counted_at(exchange))
    wallet = None if admission is None else admission.wallet
    if wallet is None or wallet.retired:
        wallet = exchange.services.wallets.of(exchange.key.organization_id)
        if admission is not None:
            admission.wallet = wallet
    if wallet.take(price):
        exchange.charge = Charge(price, wallet)
        return None
    exchange.decided |= Flag.LEDGER
    counted_at = _counted_at(exchange)
    try:
        return _wait(exchange, wallet, price, exchange.services.wallets.wait(wallet, price), counted_at)
    except Refusal:
        exchange.charge = Charge(0, wallet)
        exchange.give_back_permits(counted_at)
        raise


def _counted_at(exchange: "Exchange") -> float:
    """When its permits were taken, asked right after that."""
    if isinstance(exchange.sink, Keeping):
        return exchange.sink.counted_at  # it has waited since, and others may have taken
    return exchange.bucket.taken_at if exchange.bucket is not None else 0.0


async def _wait(
    exchange: "Exchange", wallet: "Wallet", price: int, held: "asyncio.Future[None]", counted_at: float
) -> None:
    try:
        await asyncio.wait((held,))
    except asyncio.CancelledError:
        _let_go(wallet, price, held)
        raise
    if exchange.finished:
        _let_go(wallet, price, held)
        return
    try:
        held.result()
    except Refusal:
        exchange.charge = Charge(0, wallet)
        exchange.give_back_permits(counted_at)
        raise
    exchange.charge = Charge(price, wallet)


def _let_go(wallet: "Wallet", price: int, held: "asyncio.Future[None]") -> None:
    """The client left while its request waited: what it got goes back."""
    if not held.done():
        held.cancel()
    elif not held.cancelled() and held.exception() is None:
        wallet.settle(price, 0)


async def _reserve(exchange: "Exchange", operation: "OperationSnapshot", price: int, counted_at: float) -> None:
    exchange.decided |= Flag.LEDGER
    holds = exchange.services.holds
    try:
        hold = await holds.hold(
            exchange.request_id,
            exchange.key.organization_id,
            operation.id,
            price,
            exchange.matched.service.total_timeout,
        )
    except Refusal:
        exchange.give_back_permits(counted_at)
        raise
    if exchange.finished:
        holds.undo(hold)
        return
    exchange.charge = Charge(price, None, hold)

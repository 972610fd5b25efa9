"""The price of the request, held before it goes upstream: from this worker's wallet; or, whatever it may come to, as a
reservation.

Refuses with 402; a refused request has consumed nothing, so its permits go back too. Where the ledger must be asked and
gives no answer, 503, never free (G2, G5). What it costs in the end is `gateway.charges`.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.cost_formulas import delivery_of, requested_price
from domain.journal.decision import Flag
from domain.prices import price_micro
from domain.refusals import Refusal
from gateway.charges import Charge, HeldCharge
from gateway.job_acceptance import take_on
from gateway.keeping import Keeping
from gateway.metering import Meter

if TYPE_CHECKING:
    from domain.cost_fields import Asked
    from domain.credits.wallet import Wallet
    from domain.snapshots import OperationSnapshot
    from gateway.exchange import Exchange


def charge_credits(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.charge` once the price is held. Free requests are let through without."""
    admission = exchange.admission
    if admission is None:
        return _charge(exchange, price_micro(exchange.plan, exchange.matched.operation))
    charge = admission.charge
    if charge is not None and charge.wallet.take(charge.price):
        exchange.charge = charge
        return None
    return _charge(exchange, admission.price) if admission.price else None


def _charge(exchange: "Exchange", price: int) -> Awaitable[None] | None:
    operation, key = exchange.matched.operation, exchange.key
    by_quota = key.billing_mode == "quota"
    if operation is not None and operation.asynchronous:
        free = not price or (by_quota and not exchange.overage)
        return take_on(exchange, operation, 0 if free else _requested(exchange, operation, price))
    if not price or operation is None or (by_quota and not exchange.overage):
        return None
    due, meter = _by_formula(exchange, operation, price) if operation.cost_formula else (price, None)
    wallet = exchange.services.wallets.of(key.organization_id)
    if operation.reserved:
        return _reserve(exchange, operation, price, due, wallet, meter)
    if not due:
        return None
    charge = Charge(due, wallet, exchange.matched.service.charge_on, meter)
    if exchange.admission is not None and not by_quota and not operation.cost_formula:
        exchange.admission.charge = charge
    if wallet.take(due):
        exchange.charge = charge
        return None
    exchange.decided |= Flag.LEDGER
    try:
        return _wait(exchange, charge, exchange.services.wallets.wait(wallet, due))
    except Refusal:
        _refuse(exchange, wallet)
        raise


def _refuse(exchange: "Exchange", wallet: "Wallet") -> None:
    exchange.charge = Charge(0, wallet, "")
    exchange.give_back_permits()


async def _wait(exchange: "Exchange", charge: Charge, held: "asyncio.Future[None]") -> None:
    try:
        await asyncio.wait((held,))
    except asyncio.CancelledError:
        _let_go(charge, held)
        raise
    if exchange.finished:
        _let_go(charge, held)
        return
    try:
        held.result()
    except Refusal:
        _refuse(exchange, charge.wallet)
        raise
    exchange.charge = charge


def _let_go(charge: Charge, held: "asyncio.Future[None]") -> None:
    """The client left while its request waited: what it got goes back."""
    if not held.done():
        held.cancel()
    elif not held.cancelled() and held.exception() is None:
        charge.wallet.settle(charge.price, 0)


def _by_formula(exchange: "Exchange", operation: "OperationSnapshot", cap: int) -> tuple[int, Meter | None]:
    """Micro-credits that the operation's formula says of this request, at most `cap`; and, where they hang on the answer,
    its meter.

    It hangs on the line and on the fields, so it is worked out each time. An answer that is kept for repeats is paid whole:
    who leaves in the middle of it gets the rest for nothing.
    """
    asked = _asked(exchange)
    delivery = None if isinstance(exchange.sink, Keeping) else delivery_of(operation, cap, asked)
    return requested_price(operation, cap, asked), None if delivery is None else Meter(exchange, delivery)


def _requested(exchange: "Exchange", operation: "OperationSnapshot", cap: int) -> int:
    return requested_price(operation, cap, _asked(exchange)) if operation.cost_formula else cap


def _asked(exchange: "Exchange") -> "Asked":
    """Of a known head, which has no body, from its two parts."""
    line, admission, rest = exchange.line, exchange.admission, exchange.matched.rest
    if line is None or admission is None:
        request = exchange.request
        return request.query, request.headers, rest, request.body
    return line.request[2], admission.fields.headers, rest, 0


async def _reserve(
    exchange: "Exchange",
    operation: "OperationSnapshot",
    price: int,
    due: int,
    wallet: "Wallet",
    meter: Meter | None,
) -> None:
    exchange.decided |= Flag.LEDGER
    holds, service = exchange.services.holds, exchange.matched.service
    try:
        hold = await holds.hold(
            exchange.request_id, exchange.key.organization_id, operation.id, price, service.total_timeout
        )
    except Refusal:
        exchange.give_back_permits()
        raise
    if exchange.finished:
        holds.undo(hold)
        return
    exchange.charge = HeldCharge(hold, holds, wallet, service.charge_on, due, meter)

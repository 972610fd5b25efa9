"""A request to an asynchronous operation: its body is taken whole, a job is stored and paid for, the answer is 202.

`Acceptance` stands where the exchange's upstream would, and answers as one; so what is recorded, kept under an
Idempotency-Key and counted is as for every other request. Its own record costs nothing: the job is charged at its end.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.async_jobs.accepting import Kept, Wanted
from domain.async_jobs.sealed_fields import seal_fields
from domain.credit_amounts import credits_text
from domain.journal.decision import Flag
from domain.refusals import BodyTooLarge, NotImplementedHere, Refusal
from domain.replays import Outcome
from domain.request_ids import new_request_id
from gateway import forwarding
from gateway.charges import Charge
from gateway.ends import AnswerHead, Headers
from gateway.keeping import Keeping

if TYPE_CHECKING:
    from uuid import UUID

    from domain.credits.reservations import Held
    from domain.snapshots import OperationSnapshot
    from gateway.exchange import Exchange

LOOK_AGAIN_SECONDS = b"2"
ACCEPTED = 202


def take_on(exchange: "Exchange", operation: "OperationSnapshot", price: int) -> Awaitable[None]:
    """Answer with a job that costs `price` micro-credits if it is completed. Raises BodyTooLarge, NotImplementedHere."""
    exchange.decided |= Flag.LEDGER
    announced, most = exchange.request.body, exchange.services.settings.asynchronous.max_body_bytes
    fault: Refusal | None = None
    if exchange.request.upgrade:
        fault = NotImplementedHere("This operation is asynchronous: it has no tunnels.")
    elif announced is not None and announced > most:
        fault = BodyTooLarge(max_bytes=most)
    if fault is not None:
        exchange.give_back_permits()
        raise fault
    return Acceptance(exchange, operation, price).over


class Acceptance:
    """Stands where the exchange's upstream would. `over` is done once the exchange is answered, or its client is gone."""

    bytes_out = bytes_in = 0

    def __init__(self, exchange: "Exchange", operation: "OperationSnapshot", price: int) -> None:
        self._exchange, self._operation, self._price = exchange, operation, price
        self._most = exchange.services.settings.asynchronous.max_body_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        exchange.upstream = self
        if exchange.request.body == 0:
            self.finish()
        else:
            exchange.sink.want_body()

    def write(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._size += len(chunk)
        if self._size > self._most:
            self._pieces.clear()
            self._exchange.give_back_permits()
            self._exchange.refuse(BodyTooLarge(max_bytes=self._most))
            return
        self._pieces.append(chunk)

    def finish(self) -> None:
        """The body is whole: take the job on, whether the client stays or not."""
        if not self.over.done():
            self._exchange.services.jobs.spawn(self._take())

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""

    def abort(self) -> None:
        """The exchange ends, or has what it needs."""
        if not self.over.done():
            self.over.set_result(None)

    async def _take(self) -> None:
        exchange = self._exchange
        try:
            wanted = self._wanted(new_request_id())
            fields, body = _answer(wanted.id, self._price)
            held = await exchange.services.jobs.take(wanted, self._kept(fields, body))
        except Refusal as refusal:
            exchange.give_back_permits()
            exchange.refuse(refusal)
        except Exception as fault:  # noqa: BLE001  boundary, as in the exchange
            exchange.fail(fault)
        else:
            if not exchange.finished:
                self._tell(held, fields, body)
        finally:
            self.abort()

    def _wanted(self, job_id: "UUID") -> Wanted:
        exchange, service = self._exchange, self._exchange.matched.service
        target, fields = forwarding.job_request(exchange)
        try:
            sealed = seal_fields(exchange.services.settings.secrets, job_id, fields)
        except ValueError as fault:
            raise exchange.services.jobs.cannot_store(str(fault)) from None
        return Wanted(
            job_id, exchange.key.organization_id, exchange.key.id, service.id, self._operation.id, exchange.request_id,
            self._price, exchange.request.method.decode("latin-1"), target.decode("latin-1"), sealed,
            b"".join(self._pieces), service.job_timeout,
        )  # fmt: skip

    def _kept(self, fields: Headers, body: bytes) -> Kept | None:
        """What a repeat under the same Idempotency-Key is answered with; stored with the job, not behind it."""
        sink = self._exchange.sink
        if not isinstance(sink, Keeping):
            return None
        outcome = Outcome(sink.fingerprint(), ACCEPTED, fields, body)
        return Kept(outcome, self._exchange.services.settings.gateway.replay_hours)

    def _tell(self, held: "Held", fields: Headers, body: bytes) -> None:
        exchange = self._exchange
        if self._price:
            exchange.charge = JobCharge(exchange, self._price, held.available + held.elsewhere)
        exchange.sent_ns = time.monotonic_ns()
        exchange.reply_in_parts(AnswerHead(ACCEPTED, fields, len(body)), body)


class JobCharge(Charge):
    """What is held for a job. Its request costs nothing; caps count the whole, because nobody asks them at the end."""

    __slots__ = ("_remaining",)

    def __init__(self, exchange: "Exchange", price: int, remaining: int) -> None:
        super().__init__(price, exchange.services.wallets.of(exchange.key.organization_id), "")
        self._remaining = remaining

    def cost_of(self, outcome: str, status: int, *, arrived: bool) -> int:
        """Nothing."""
        del outcome, status, arrived
        return 0

    def capped(self, exchange: "Exchange", outcome: str) -> int:
        """All of it."""
        del exchange, outcome
        return self.price

    def settle(self, exchange: "Exchange", outcome: str) -> None:
        """Nothing of a wallet was taken."""

    def lines(self, status: int) -> bytes:
        """The most that it may cost, and what remains beside it."""
        del status
        return self._lines(self.price, self._remaining, is_open=True)


def _answer(job_id: "UUID", price: int) -> tuple[Headers, bytes]:
    url = f"/user/jobs/{job_id}"
    fields: Headers = [
        (b"content-type", b"application/json"),
        (b"location", url.encode()),
        (b"retry-after", LOOK_AGAIN_SECONDS),
        (b"cache-control", b"no-store"),
    ]
    credits_ = {"held": credits_text(price), "charged": credits_text(0)}
    return fields, json.dumps({"id": str(job_id), "status": "pending", "credits": credits_, "url": url}).encode()

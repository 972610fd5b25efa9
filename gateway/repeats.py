"""A repeat of a request that has an outcome: its body is read, and goes nowhere, to see that it is the same request."""

import asyncio
from typing import TYPE_CHECKING

from domain.journal.decision import Flag
from domain.prices import price_micro
from domain.refusals import IdempotencyMismatch, OutcomeNotKept
from domain.replays import Outcome
from gateway import answers
from gateway.ends import Headers

if TYPE_CHECKING:
    import hashlib

    from gateway.exchange import Exchange

REPLAYED = (b"idempotency-replayed", b"true")


class Repeat:
    """Stands where the exchange's upstream would. `over` is done once the exchange is answered, or its client is gone."""

    bytes_out = bytes_in = 0

    def __init__(self, exchange: "Exchange", outcome: Outcome, seen: "hashlib._Hash") -> None:
        """`seen` is the fingerprint up to the body."""
        self._exchange, self._outcome, self._seen = exchange, outcome, seen
        self._before_body = seen.digest()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        exchange.upstream = self
        if exchange.request.body == 0:
            self.finish()
        else:
            exchange.sink.want_body()

    def write(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._seen.update(chunk)

    def finish(self) -> None:
        """The body is whole: answer."""
        exchange, outcome, fingerprint = self._exchange, self._outcome, self._seen.digest()
        exchange.upstream = None
        self.abort()
        if outcome.body is not None and outcome.fingerprint == fingerprint:
            self._replay(outcome, outcome.body)
            return
        exchange.give_back_permits()
        # Of what is not kept, the body may not have been read to its end.
        same = outcome.body is None and outcome.fingerprint in {fingerprint, self._before_body}
        exchange.refuse(OutcomeNotKept() if same else IdempotencyMismatch())

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""

    def abort(self) -> None:
        """The exchange ends, or has what it needs."""
        if not self.over.done():
            self.over.set_result(None)

    def _replay(self, outcome: Outcome, body: bytes) -> None:
        """It stays counted as a request, and has cost nothing: units of quotas go back here, caps with its end."""
        exchange = self._exchange
        exchange.decided |= Flag.REPLAYED
        if exchange.taken and exchange.bucket is not None:
            exchange.bucket.give_back_units(exchange.taken_at)
        kept = [field for field in outcome.fields if field[0] != REPLAYED[0]]
        fields: Headers = [*answers.relayed(exchange, kept), REPLAYED]
        if price_micro(exchange.plan, exchange.matched.operation) and exchange.key.billing_mode != "quota":
            fields.append((b"x-credits-charged", b"0"))
        exchange.answer(outcome.status, fields, body)

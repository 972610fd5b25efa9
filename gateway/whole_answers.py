"""Whole answers of one turn of the event loop, finished together: their fields, then their records, then their writes.

A processor runs a short loop over twenty answers in half the time in which it runs the whole way of one answer twenty
times over, because the code of each step stays in its nearest cache. An answer waits here for the turn's end and no
longer: microseconds. All records of a turn are in the journal before the first of its answers is written (G3).
"""

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING

from gateway import answers
from gateway.charges import settle_served
from gateway.upstream.clock import Clock

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from gateway.charges import Charge
    from gateway.ends import AnswerHead
    from gateway.exchange import Exchange

RecordServed = Callable[["list[Exchange]"], None]
"""Writes down what is about to be sent. If it raises, nothing of it is sent."""


class WholeAnswers:
    """One worker's. `add` takes an answer whose upstream connection is free already."""

    __slots__ = ("_at_end", "_record", "_waiting")

    def __init__(self, record: RecordServed, clock: Clock) -> None:
        self._record, self._at_end = record, clock.at_end
        self._waiting: list[tuple[Exchange, AnswerHead, bytes]] = []

    def add(self, exchange: "Exchange", head: "AnswerHead", body: bytes) -> None:
        """Finish it at the end of this turn. Until then its client may still leave."""
        exchange.first_byte_ns = monotonic_ns()
        exchange.upstream, exchange.status = None, head.status
        waiting = self._waiting
        waiting.append((exchange, head, body))
        if len(waiting) == 1:
            self._at_end(self._finish)

    def _finish(self) -> None:
        waiting, self._waiting = self._waiting, []
        whole: list[Exchange] = []
        written: list[bytes] = []
        known: Bucket | None = None
        lines: bytes = b""
        figures: Sequence[int] = ()
        known_charge: Charge | None = None
        charged, status = b"", 0
        for exchange, head, body in waiting:
            if exchange.finished:
                continue
            try:
                if not exchange.sink.takes_whole():
                    exchange.reply_in_parts(head, body)
                    continue
                charge = exchange.charge
                if charge is not known_charge or head.status != status:
                    # As of limits: what remains is the same for all answers of a turn.
                    known_charge, status = charge, head.status
                    charged = charge.lines_of(head) if charge is not None else b""
                bucket = exchange.bucket
                if bucket is None or exchange.verdict is not None:
                    answer = answers.whole(exchange, head, body, answers.limit_lines(exchange), charged)
                else:
                    # Within a turn nothing is taken: one bucket's figures are the same for all its answers.
                    if bucket is not known:
                        lines, figures = answers.known_lines(exchange, bucket)
                        known = bucket
                    exchange.figures = figures
                    answer = answers.whole(exchange, head, body, lines, charged)
                if answer is None:
                    exchange.reply_in_parts(head, body)
                    continue
            except Exception as fault:  # noqa: BLE001  boundary: one answer's fault must not be another's
                exchange.fail(fault)
                continue
            exchange.bytes_out = len(body)
            exchange.answered = exchange.finished = True
            whole.append(exchange)
            written.append(answer)
        if whole:
            self._send(whole, written)

    def _send(self, whole: "list[Exchange]", written: list[bytes]) -> None:
        for exchange in whole:
            exchange.let_go_of_slots("served")
        settle_served(whole)
        try:
            self._record(whole)
        except Exception as fault:  # noqa: BLE001  what is not written down must not be answered
            for exchange in whole:
                exchange.fail_unrecorded(fault)
            return
        for exchange, answer in zip(whole, written, strict=True):
            exchange.sink.whole(answer)

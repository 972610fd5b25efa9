"""Answers of one turn: recorded before any is sent, none sent that could not be recorded, none hurt by another's fault."""

import asyncio
from types import SimpleNamespace
from typing import Any

from gateway.ends import AnswerHead
from gateway.upstream.clock import Clock
from gateway.whole_answers import WholeAnswers

HEAD = AnswerHead(200, [(b"server", b"x")], 2)


class Ends:
    """A door and an exchange in one, which note what happens to them."""

    request_id_bytes = b"id"
    bucket = verdict = charge = None
    answered = finished = False
    first_byte_ns = status = bytes_out = price = 0
    upstream: Any = "upstream"

    def __init__(self, name: str, order: list[tuple[str, str]], *, takes: bool = True, broken: bool = False) -> None:
        self.name, self.order, self.sink, self.takes = name, order, self, takes
        self.matched = SimpleNamespace(service=SimpleNamespace(cors_origins=None if not broken else _Broken()))

    def takes_whole(self) -> bool:
        return self.takes

    def reply_in_parts(self, head: AnswerHead, body: bytes) -> None:
        self.order.append(("parts", self.name))

    def fail(self, fault: Exception) -> None:
        self.order.append(("failed", self.name))

    def fail_unrecorded(self, fault: Exception) -> None:
        self.order.append(("aborted", self.name))

    def let_go_of_slots(self, outcome: str) -> None:
        self.order.append(("slots", self.name))

    def whole(self, answer: bytes) -> None:
        assert self.finished
        self.order.append(("sent", self.name))


class _Broken:
    def __bool__(self) -> bool:
        raise RuntimeError("broken")


async def turn_of(order: list[tuple[str, str]], *ends: Ends, fault: bool = False) -> list[tuple[str, str]]:
    def record(exchanges: list[Any]) -> None:
        if fault:
            raise RuntimeError("no room")
        order.extend(("recorded", one.name) for one in exchanges)

    answers = WholeAnswers(record, Clock())
    for one in ends:
        answers.add(one, HEAD, b"ok")  # type: ignore[arg-type]
    assert order == []
    await asyncio.sleep(0)
    return order


async def test_all_records_come_before_the_first_answer():
    order: list[tuple[str, str]] = []
    await turn_of(order, Ends("a", order), Ends("b", order))
    assert order == [("slots", "a"), ("slots", "b"), ("recorded", "a"), ("recorded", "b"), ("sent", "a"), ("sent", "b")]


async def test_what_cannot_be_recorded_is_not_sent():
    order: list[tuple[str, str]] = []
    await turn_of(order, Ends("a", order), Ends("b", order), fault=True)
    assert [one for one in order if one[0] != "slots"] == [("aborted", "a"), ("aborted", "b")]


async def test_a_fault_in_one_answer_is_not_anothers():
    order: list[tuple[str, str]] = []
    await turn_of(order, Ends("a", order, broken=True), Ends("b", order))
    assert order == [("failed", "a"), ("slots", "b"), ("recorded", "b"), ("sent", "b")]


async def test_who_left_or_cannot_take_it_whole_is_left_out():
    order: list[tuple[str, str]] = []
    gone, slow = Ends("gone", order), Ends("slow", order, takes=False)
    gone.finished = True
    await turn_of(order, gone, slow, Ends("a", order))
    assert order == [("parts", "slow"), ("slots", "a"), ("recorded", "a"), ("sent", "a")]

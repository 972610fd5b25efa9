"""Heads are remembered by their exact bytes, and never more of them than fits."""

import tracemalloc

import pytest

from gateway.upstream.answer_head import BrokenAnswer
from gateway.upstream.head_memory import MAX_BYTES, MAX_FIELDS, MAX_HEADS, Heads, learn

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5"


def test_remembered_by_every_byte() -> None:
    heads: Heads = {}
    first = learn(heads, PLAIN)
    assert heads[PLAIN] is first
    assert (first.length, first.follows, first.persistent, first.kept) == (5, 5, True, None)
    closing = learn(heads, PLAIN + b"\r\nConnection: close")
    longer = learn(heads, PLAIN + b"0")
    assert (closing.persistent, longer.follows) == (False, 50)
    assert len(heads) == 3


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0",
    ],
)
def test_what_needs_a_closer_look_says_so(line: bytes) -> None:
    assert learn({}, line).follows == -1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>",
        PLAIN + b"\r\nX: " + b"a" * MAX_BYTES,
        PLAIN + b"\r\na:" * MAX_FIELDS,
    ],
)
def test_interim_and_large_heads_are_not_kept(raw: bytes) -> None:
    heads: Heads = {}
    learn(heads, raw)
    assert not heads


def test_a_broken_head_is_broken_each_time() -> None:
    heads: Heads = {}
    for _ in range(3):
        with pytest.raises(BrokenAnswer):
            learn(heads, PLAIN + b"\r\nContent-Length: 6")
    assert not heads


def test_heads_that_never_come_again_cost_a_bounded_memory() -> None:
    heads: Heads = {}
    filler = b"\r\n" + b"\r\n".join(b"n%d: %b" % (number, b"v" * 20) for number in range(MAX_FIELDS - 2))
    tracemalloc.start()
    for number in range(MAX_HEADS * 3 + 7):
        learn(heads, PLAIN + b"\r\nX-Request-Id: %d" % number + filler)
        assert len(heads) <= MAX_HEADS
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()

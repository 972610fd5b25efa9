"""The judge can fail: what the strict readers accept, and what they don't."""

import pytest

from tests.wire.answers import read_answers
from tests.wire.grammar import MalformedError, holds
from tests.wire.requests import parse_request, parse_requests

GOOD = b"POST /x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"


def test_reads_a_chunked_request_with_trailers() -> None:
    request = parse_request(GOOD + b"GET")
    assert request is not None
    assert (request.whole, request.length, request.body, request.trailers) == (True, len(GOOD), b"abc", [("X-T", "1")])


def test_is_not_whole_before_its_last_byte() -> None:
    for length in range(len(GOOD)):
        request = parse_request(GOOD[:length])
        assert request is None or not request.whole, length


@pytest.mark.parametrize(
    "raw",
    [
        b"GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\nHost: a\r\n\r\n",
        b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n X: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nA",
        b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nA",
        b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nA\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nA\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nAB\r\n0\r\n\r\n",
        b"GET /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_refuses_a_malformed_request(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_request(raw)


def test_reads_a_pipeline() -> None:
    found, rest, why = parse_requests(GOOD + GOOD + b"GET / HTT")
    assert (len(found), rest, why) == (2, b"GET / HTT", "not whole")


def test_reads_answers_with_interim_and_head() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
    seen = read_answers(data, ["HEAD", "GET"])
    assert (len(seen.interim), [a.status for a in seen.final], seen.final[1].body, seen.problem) == (
        1,
        [200, 404],
        b"no",
        "",
    )


@pytest.mark.parametrize(
    ("data", "ended", "reset", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", True, False, False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", True, False, False),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", True, False, True),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", False, False, False),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", False, True, False),
    ],
)
def test_knows_a_cut_answer(data: bytes, ended: bool, reset: bool, whole: bool) -> None:
    assert read_answers(data, ended=ended, reset=reset).final[0].whole is whole


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nextra",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_finds_a_malformed_answer(data: bytes) -> None:
    assert read_answers(data, ended=True).problem


def test_case_matters_only_for_capitals() -> None:
    assert holds("X-Note: A", "x-note: a")
    assert holds("X-Note: A", "Note: A")
    assert not holds("x-note: a", "Note")

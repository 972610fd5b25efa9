"""What the head parser takes and refuses."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream import answer_head
from gateway.upstream.answer_head import BrokenAnswer, parse_head


def test_names_are_lower_case_in_order_with_duplicates() -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A:\t b \r\nSET-COOKIE: b=2, c\r\nX-Empty:")
    assert head.headers == [(b"set-cookie", b"a=1"), (b"x-a", b"b"), (b"set-cookie", b"b=2, c"), (b"x-empty", b"")]
    assert (head.status, head.length, head.chunked, head.persistent) == (200, None, False, True)


def test_obs_text_passes() -> None:
    assert parse_head(b"HTTP/1.1 200 \xc3\xa9\r\nx: \xff\x80").headers == [(b"x", b"\xff\x80")]


@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 A b", b"HTTP/1.0 200 OK"])
def test_status_lines(line: bytes) -> None:
    for _ in range(2):
        assert parse_head(line).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/0.9 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0 OK",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nx",
        b"HTTP/1.1 200 OK\r\n: b",
        b"HTTP/1.1 200 OK\r\nx : b",
        b"HTTP/1.1 200 OK\r\n x: b",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b",
        b"HTTP/1.1 200 OK\r\nx: a\r\n\tb: c",
        b"HTTP/1.1 200 OK\r\nx: a\nb: c",
        b"HTTP/1.1 200 OK\r\nx: a\rb: c\nd: e",
        b"HTTP/1.1 200 OK\r\nx: a\r\r\nb: c",
        b"HTTP/1.1 200 OK\r\nx: a\0",
        b"HTTP/1.1 200 OK\r\nx: a\x7f",
        b"HTTP/1.1 200 OK\r\nx: a\x0b",
        b"HTTP/1.1 200 O\0K",
        b'HTTP/1.1 200 OK\r\n"x": a',
        b"HTTP/1.1 200 OK\r\nx\xc3\xa9: a",
    ],
)
def test_not_a_head(raw: bytes) -> None:
    for _ in range(2):
        with pytest.raises(BrokenAnswer):
            parse_head(raw)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length:",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 0x5",
        b"Content-Length: 5, 5",
        b"Content-Length: 5 5",
        b"Content-Length: 5_0",
        b"Content-Length: \xb2",
        b"Content-Length: 9999999999999999999",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked;a=b",
        b"Transfer-Encoding:",
    ],
)
def test_no_framing_that_two_readers_could_read_differently(framing: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        parse_head(b"HTTP/1.1 200 OK\r\n" + framing)


def test_chunked_belongs_to_http_1_1() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked").chunked
    with pytest.raises(BrokenAnswer):
        parse_head(b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked")


def test_equal_lengths_are_one_length() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5").length == 5


@pytest.mark.parametrize(
    ("line", "persistent", "idle"),
    [
        (b"Connection: keep-alive", True, 0),
        (b"Connection: close", False, 0),
        (b"Connection: foo,\tCLOSE", False, 0),
        (b"Connection: closed", True, 0),
        (b"Keep-Alive: timeout=5, max=100", True, 5),
        (b"Keep-Alive: max=1, TIMEOUT=7", True, 7),
        (b"Keep-Alive: timeout=-1", True, 0),
        (b"Keep-Alive: timeout=99999999999", True, 0),
    ],
)
def test_keeping_the_connection(line: bytes, persistent: bool, idle: int) -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\n" + line)
    assert (head.persistent, head.idle_seconds) == (persistent, idle)


def test_what_is_learned_is_bounded() -> None:
    for number in range(6_000):
        parse_head(b"HTTP/1.1 200 reason %d\r\nx-%d: a\r\nlong-%b: b" % (number, number, b"a" * 100))
    assert len(answer_head._names) <= answer_head._MAX_LEARNED
    assert len(answer_head._status_lines) <= answer_head._MAX_LEARNED
    assert max(map(len, answer_head._names)) <= answer_head._MAX_LEARNED_BYTES


class Collector:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.whole = True


PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"\r\n", b"\r", b"\n", b"x", b": ", b":", b" ", b"\t", b"a", b"Content-Length", b"5", b"\0", b"close"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map(b"".join))
def test_never_more_lenient_than_llhttp(tail: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nx: y\r\n" + tail
    if b"\r\n\r\n" in raw:
        raw = raw[: raw.index(b"\r\n\r\n")]
    try:
        head = parse_head(raw)
    except BrokenAnswer:
        return
    collector = Collector()
    httptools.HttpResponseParser(collector).feed_data(raw + b"\r\n\r\n")
    assert collector.whole
    assert collector.headers == head.headers

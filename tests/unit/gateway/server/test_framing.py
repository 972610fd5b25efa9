"""Bodies end where they must, however the stream is cut; nothing but strict chunks is taken."""

import pytest

from domain import refusals
from gateway.server.framing import MAX_CHUNK_LINE, body_reader

CHUNKED = b"5;a=b\r\nhello\r\n01\r\n \r\n5\r\nworld\r\n0\r\nX-T: dropped\r\n\r\n"


def fed(reader, *pieces):
    body, rest = b"", b""
    for piece in pieces:
        assert not rest
        fresh, rest = reader.feed(piece)
        body += fresh
    return body, rest, reader.done


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_chunks_are_read_wherever_the_stream_is_cut(cut):
    reader = body_reader(None, 0, 1_000)
    assert fed(reader, CHUNKED[:cut], CHUNKED[cut:] + b"GET /next") == (b"hello world", b"GET /next", True)


def test_chunks_are_read_byte_by_byte():
    reader = body_reader(None, 0, 1_000)
    assert fed(reader, *(CHUNKED[at : at + 1] for at in range(len(CHUNKED)))) == (b"hello world", b"", True)


@pytest.mark.parametrize(
    "broken",
    [
        b"0x5\r\n", b"+5\r\n", b"-5\r\n", b"5_0\r\n", b" 5\r\n", b"5 \r\n", b"\r\n", b"g\r\n", b";a\r\n", b"5\n", b"5\rX", b"5;\nx",
        b"5;a\rb\r\n", b"5;\x00\r\n", b"00000000000000005\r\n", b"\xef\xbc\x95\r\n", b"2\r\nabc", b"2\r\nab\n", b"2\r\nab\rX",
        b"0\r\n\n", b"0\r\nno colon\r\n", b"0\r\n: x\r\n", b"0\r\nX : y\r\n", b"0\r\nX: \x01\r\n", b"0\r\n X: folded\r\n",
    ],
)  # fmt: skip
def test_anything_else_is_malformed(broken):
    for pieces in ((broken,), [broken[at : at + 1] for at in range(len(broken))]):
        with pytest.raises(refusals.MalformedRequest):
            fed(body_reader(None, 0, 1_000), *pieces)


def test_extensions_and_trailers_are_bounded():
    too_long = (b"1;" + b"a" * MAX_CHUNK_LINE + b"\r\n", b"1;" + b"a" * (MAX_CHUNK_LINE + 10))
    too_much = b"0\r\nX: " + b"a" * 2_000 + b"\r\n"
    many = b"".join(b"1;%b\r\nA\r\n" % (b"a" * 200) for _ in range(100))
    for broken in (*too_long, too_much, b"0\r\n" + b"X: abcdefgh\r\n" * 200, many):
        with pytest.raises(refusals.HeadersTooLarge):
            fed(body_reader(None, 0, 1_000), broken)


def test_a_body_that_grows_too_large_is_refused_at_the_chunk_that_says_so():
    reader = body_reader(None, 10, 1_000)
    assert fed(reader, b"8\r\n12345678\r\n") == (b"12345678", b"", False)
    with pytest.raises(refusals.BodyTooLarge):
        reader.feed(b"3\r\n")
    with pytest.raises(refusals.BodyTooLarge):
        fed(body_reader(None, 0, 1_000), b"ffffffffffffffff\r\n")


def test_a_length_is_a_length():
    reader = body_reader(5, 0, 0)
    assert reader.left() == 5
    assert fed(reader, b"he", b"l") == (b"hel", b"", False)
    assert reader.left() == 2
    assert fed(reader, b"loGET") == (b"lo", b"GET", True)
    assert body_reader(0, 0, 0).done

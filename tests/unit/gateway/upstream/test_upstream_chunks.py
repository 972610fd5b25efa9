"""The chunked coding, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.answer_head import BrokenAnswer
from gateway.upstream.chunks import ChunkedBody


def decode(wire: bytes, *, step: int = 1, trailer_bytes: int = 100) -> tuple[bytes, ChunkedBody]:
    body = ChunkedBody(trailer_bytes)
    found = bytearray()
    for at in range(0, len(wire), step):
        assert not body.whole
        found += body.feed(wire[at : at + step])
    return bytes(found), body


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 60), st.booleans())
def test_any_chunks_in_any_pieces(chunks: list[bytes], step: int, dressed: bool) -> None:
    extension = b';a="b c"' if dressed else b""
    wire = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    wire += b"000%b\r\n%b\r\n" % (extension, b"X-T: 1\r\nY: \r\n" if dressed else b"")
    found, body = decode(wire, step=step)
    assert found == b"".join(chunks)
    assert body.whole
    assert not body.extra


@pytest.mark.parametrize("extra", [b"\r\n", b"a", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_extra_bytes_are_seen(extra: bytes) -> None:
    body = ChunkedBody(100)
    assert body.feed(b"2\r\nok\r\n0\r\n\r\n" + extra) == b"ok"
    assert body.whole
    assert body.extra


@pytest.mark.parametrize(
    "wire",
    [
        b"ZZ\r\n",
        b"\r\n",
        b" 2\r\nok",
        b"2 \r\nok",
        b"+2\r\nok",
        b"-2\r\nok",
        b"0x2\r\nok",
        b"2_0\r\nok",
        b"2\nok\n",
        b"2\r\nokk\r\n",
        b"2\r\nok0\r\n",
        b"2\r\nok\n0",
        b"2\r\nok\r0",
        b"1111111111111111\r\n",
        b"2;a\0b\r\nok",
        b"2;a\rb\r\nok",
        b"2;" + b"a" * 5_000,
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\nX: a\0\r\n\r\n",
        b"0\r\nX: a\nY: b\r\n\r\n",
        b"0\r\nX: " + b"a" * 200 + b"\r\n\r\n",
        b"0\r\n" + b"X: a\r\n" * 40 + b"\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_refused(wire: bytes, step: int) -> None:
    with pytest.raises(BrokenAnswer):
        decode(wire, step=step)


@pytest.mark.parametrize("wire", [b"", b"5", b"5\r\nhello", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nX: a\r\n"])
def test_not_whole_yet(wire: bytes) -> None:
    assert not decode(wire)[1].whole


@pytest.mark.parametrize("size", [1, 2, 300, 70_000])
def test_one_chunk_a_read(size: int) -> None:
    body, chunk = ChunkedBody(100), b"a" * size
    wire = b"%x\r\n%b\r\n" % (size, chunk)
    for _ in range(3):
        assert body.feed(wire) == chunk
        assert body.feed(wire + wire) == chunk + chunk
        assert body.feed(wire[:-1]) + body.feed(wire[-1:] + wire) == chunk + chunk
    assert not body.whole
    with pytest.raises(BrokenAnswer):
        body.feed(wire[:-2] + b"!!")
    assert ChunkedBody(100).feed(wire + b"0\r\n\r\n") == chunk


@pytest.mark.parametrize("step", [1, 2, 7, 1_000])
def test_trailers_are_told_in_their_order_with_names_in_lower_case(step: int) -> None:
    told: list[tuple[bytes, bytes]] = []
    body = ChunkedBody(100, lambda name, value: told.append((name, value)))
    wire = b"3\r\none\r\n0\r\nX-PE-Cost:\t0.25 \r\nx-other:\r\nX-PE-Cost: a: b\r\n\r\n"
    content = b"".join(body.feed(wire[at : at + step]) for at in range(0, len(wire), step))
    assert (content, body.whole, body.extra) == (b"one", True, False)
    assert told == [(b"x-pe-cost", b"0.25"), (b"x-other", b""), (b"x-pe-cost", b"a: b")]

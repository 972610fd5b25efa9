"""The bytes of a request's head; nothing of ours or a caller's may break out of its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ends import Headers, UpstreamRequest
from gateway.upstream.request_head import request_head


def head_of(headers: Headers = (), **more) -> bytes:  # type: ignore[assignment]
    return request_head(UpstreamRequest(**{"method": b"GET", "target": b"/", "headers": list(headers)} | more))


def test_in_order_with_duplicates() -> None:
    head = head_of([(b"host", b"h"), (b"cookie", b"a"), (b"x-a", b""), (b"cookie", b"b")])
    assert head == b"GET / HTTP/1.1\r\nhost: h\r\ncookie: a\r\nx-a: \r\ncookie: b\r\n\r\n"
    assert head_of() == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "body", "framing"),
    [
        (b"GET", 0, b""),
        (b"POST", 0, b"content-length: 0\r\n"),
        (b"GET", 7, b"content-length: 7\r\n"),
        (b"QUERY", None, b"transfer-encoding: chunked\r\n"),
    ],
)
def test_framing(method: bytes, body: int | None, framing: bytes) -> None:
    assert head_of([(b"host", b"h")], method=method, body=body) == (
        method + b" / HTTP/1.1\r\n" + framing + b"host: h\r\n\r\n"
    )


def test_upgrade_lines_are_added_once() -> None:
    added = head_of([(b"host", b"h"), (b"connection", b"keep-alive")], upgrade=b"websocket")
    assert added.endswith(b"host: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    given_already = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    assert head_of(given_already, upgrade=b"websocket").count(b"pgrade") == 2


def test_expect_is_left_out_every_time() -> None:
    for _ in range(3):
        assert head_of([(b"expect", b"100-continue"), (b"a", b"b")]) == b"GET / HTTP/1.1\r\na: b\r\n\r\n"


@pytest.mark.parametrize(
    "name", [b"", b"x y", b"x:", b"x\r\n", b"X-Upper", b"\xc3\xa9", b"content-length", b"transfer-encoding"]
)
def test_names(name: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="header"):
            head_of([(name, b"1")])


@pytest.mark.parametrize("target", [b"", b"x", b"http://h/", b"/a b", b"/\r\n", b"/\xc3", b"/\0", b"/\x7f"])
def test_targets(target: bytes) -> None:
    with pytest.raises(ValueError, match="target"):
        head_of(target=target)


@pytest.mark.parametrize("method", [b"", b"GE T", b"GET\r\n", b"G\xc3"])
def test_methods(method: bytes) -> None:
    with pytest.raises(ValueError, match="method"):
        head_of(method=method)


@given(st.lists(st.binary(max_size=12), max_size=4))
def test_no_value_breaks_out_of_its_line(values: list[bytes]) -> None:
    headers = [(b"x-a", value) for value in values]
    try:
        head = head_of(headers)
    except ValueError:
        assert any((byte < 32 and byte != 9) or byte == 127 for value in values for byte in value)
    else:
        lines = head.split(b"\r\n")
        assert lines[1:-2] == [b"x-a: " + value for value in values]
        assert not set(head.replace(b"\r\n", b"")) & {0, 10, 13}

"""Which heads pass, and as what; every rule has a head that only it stops."""

import pytest

from domain import refusals
from domain.settings import GatewaySettings
from gateway.server.guard import GuardRules
from gateway.server.heads import HeadReader
from gateway.server.hosts import HostRule

GET = b"GET /x HTTP/1.1\r\nHost: a.example\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a.example\r\n"


def rules(hosts=("*",), size=4_096, count=20, body=1_000) -> GuardRules:
    return GuardRules(HostRule(hosts), size, count, body)


def read(raw: bytes, **settings):
    found = HeadReader(rules(**settings)).feed(raw)
    assert found is not None
    return found[0]


REFUSED = {
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 1", refusals.MalformedRequest),
    "length and chunks": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked", refusals.MalformedRequest),
    "signed length": (POST + b"Content-Length: +1", refusals.MalformedRequest),
    "list of lengths": (POST + b"Content-Length: 1, 1", refusals.MalformedRequest),
    "length with zeros": (POST + b"Content-Length: 010", refusals.MalformedRequest),
    "length of 19 digits": (POST + b"Content-Length: 1000000000000000000", refusals.MalformedRequest),
    "too large a length": (POST + b"Content-Length: 1001", refusals.BodyTooLarge),
    "other coding": (POST + b"Transfer-Encoding: gzip, chunked", refusals.Refusal),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", refusals.MalformedRequest),
    "empty coding": (POST + b"Transfer-Encoding: ", refusals.Refusal),
    "chunks in 1.0": (b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked", refusals.MalformedRequest),
    "no host": (b"GET /x HTTP/1.1\r\nA: b", refusals.MalformedRequest),
    "two hosts": (GET + b"Host: a.example", refusals.MalformedRequest),
    "two hosts in 1.0": (b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b", refusals.MalformedRequest),
    "host with path": (b"GET /x HTTP/1.1\r\nHost: a/?x=", refusals.MalformedRequest),
    "host with user": (b"GET /x HTTP/1.1\r\nHost: u@a", refusals.MalformedRequest),
    "host with bad port": (b"GET /x HTTP/1.1\r\nHost: a:99999", refusals.MalformedRequest),
    "host with bad v6": (b"GET /x HTTP/1.1\r\nHost: [::g]", refusals.MalformedRequest),
    "empty host": (b"GET /x HTTP/1.1\r\nHost:", refusals.MalformedRequest),
    "absolute target": (b"GET http://a.example/x HTTP/1.1\r\nHost: a.example", refusals.MalformedRequest),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "two slashes": (b"GET //a/x HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "fragment": (b"GET /x#y HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "high byte in target": (b"GET /\xff HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "space in target": (b"GET /a b HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "trace": (b"TRACE /x HTTP/1.1\r\nHost: a", refusals.MethodNotAllowed),
    "connect": (b"CONNECT a:1 HTTP/1.1\r\nHost: a", refusals.MethodNotAllowed),
    "unknown method": (b"PURGE /x HTTP/1.1\r\nHost: a", refusals.NotImplementedHere),
    "lower method": (b"get /x HTTP/1.1\r\nHost: a", refusals.NotImplementedHere),
    "method that is no token": (b"G(T /x HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "tab for space": (b"GET\t/x HTTP/1.1\r\nHost: a", refusals.MalformedRequest),
    "2.0": (b"GET /x HTTP/2.0\r\nHost: a", refusals.VersionNotSupported),
    "0.9": (b"GET /x", refusals.MalformedRequest),
    "space behind version": (b"GET /x HTTP/1.1 \r\nHost: a", refusals.MalformedRequest),
    "fold": (GET + b"A: b\r\n c", refusals.MalformedRequest),
    "first line folded": (b"GET /x HTTP/1.1\r\n Host: a", refusals.MalformedRequest),
    "bare line feed": (GET + b"A: b\nC: d", refusals.MalformedRequest),
    "bare carriage return": (GET + b"A: b\rC: d", refusals.MalformedRequest),
    "space before colon": (GET + b"A : b", refusals.MalformedRequest),
    "no colon": (GET + b"Abc", refusals.MalformedRequest),
    "framing twin": (POST + b"Content_Length: 5", refusals.MalformedRequest),
    "mixed twin": (GET + b"X-PE_Plan: x", refusals.MalformedRequest),
    "key twin": (GET + b"X_API-Key: x", refusals.MalformedRequest),
    "other expectation": (POST + b"Expect: x\r\nContent-Length: 1", refusals.ExpectationFailed),
    "two expectations": (POST + b"Expect: 100-continue\r\nExpect: 100-continue", refusals.ExpectationFailed),
    "too many fields": (GET + b"\r\n".join(b"a%d: b" % n for n in range(20)), refusals.HeadersTooLarge),
    "too large a head": (GET + b"A: " + b"b" * 4_096, refusals.HeadersTooLarge),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    raw, refusal = REFUSED[name]
    with pytest.raises(refusal):
        read(raw + b"\r\n\r\n")


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_no_control_byte_passes_anywhere(code):
    for raw in (GET + b"A: b%cc\r\n\r\n", GET + b"A%cB: c\r\n\r\n", b"GET /%c HTTP/1.1\r\nHost: a\r\n\r\n"):
        with pytest.raises(refusals.Refusal):
            read(raw % code)


def test_a_target_too_long_for_any_head_is_414():
    with pytest.raises(refusals.UriTooLong):
        HeadReader(rules()).feed(b"GET /" + b"x" * 5_000)


@pytest.mark.parametrize("partial", [b"\x16\x03\x01", b"GET /x HTTP/1.1\nHost", b"GET /x HTTP/1.1\r\nA: \rb"])
def test_what_can_never_become_a_head_is_refused_at_once(partial):
    with pytest.raises(refusals.MalformedRequest):
        HeadReader(rules()).feed(partial)


def test_an_ordinary_request_comes_out_as_it_was_sent():
    head = read(GET + b"X-A: one \t\r\nx-a:two\r\nX-Empty:\r\nX_Own: kept\r\n\r\n")
    assert (head.method, head.target, head.version, head.body, head.keep_alive) == (b"GET", b"/x", "1.1", 0, True)
    fields = [(b"host", b"a.example"), (b"x-a", b"one"), (b"x-a", b"two"), (b"x-empty", b""), (b"x_own", b"kept")]
    assert head.headers == fields


def test_framing_and_expectation_are_read():
    assert read(POST + b"Content-Length: 10\r\n\r\n").body == 10
    assert read(POST + b"transfer-encoding: Chunked\r\n\r\n").body is None
    assert read(POST + b"Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n").expect_continue
    assert not read(POST + b"Expect: 100-continue\r\n\r\n").expect_continue
    assert not read(b"POST /x HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n").expect_continue


def test_who_keeps_the_connection():
    assert not read(GET + b"Connection: foo, Close\r\n\r\n").keep_alive
    assert not read(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive
    assert read(GET + b"Connection: Keep-Alive\r\n\r\n").keep_alive


def test_only_a_plain_websocket_upgrade_is_one():
    upgrade = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    assert read(GET + upgrade + b"\r\n").upgrade == b"websocket"
    assert not read(GET + b"Upgrade: websocket\r\n\r\n").upgrade
    assert not read(GET + upgrade.replace(b"WebSocket", b"h2c") + b"\r\n").upgrade
    assert not read(GET + upgrade + b"Upgrade: h2c\r\n\r\n").upgrade
    assert not read(POST + upgrade + b"Content-Length: 1\r\n\r\n").upgrade


def test_heads_are_found_wherever_the_stream_is_cut():
    stream = b"\r\n" + POST + b"Content-Length: 2\r\n\r\n"
    for cut in range(1, len(stream)):
        reader = HeadReader(rules())
        assert reader.feed(stream[:cut]) is None
        found = reader.feed(stream[cut:] + b"ok")
        assert found is not None
        assert (found[0].body, found[1]) == (2, b"ok")


def test_hosts_are_allowed_by_name_or_by_name_and_port():
    allowed = ("api.example", "[::1]:9990", "other.example:8080")
    rule = HostRule(allowed)
    for host in (b"api.example", b"API.example:1234", b"[::1]:9990", b"other.example:8080"):
        rule.check(host)
        rule.check(host)
    for host in (b"evil.example", b"api.example.", b"[::1]", b"other.example", b"127.0.0.1"):
        with pytest.raises(refusals.MisdirectedRequest):
            rule.check(host)


def test_the_defaults_are_the_settings():
    assert GatewaySettings().max_headers == 100

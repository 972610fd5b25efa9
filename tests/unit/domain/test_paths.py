"""Canonical paths: what is one resource has one form, what could be two resources is refused (P8)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.paths import canonical_path
from domain.refusals import MalformedRequest

REFUSED = [
    b"",
    b"*",
    b"proxy/x",
    b"@other.example/x",
    b"!",
    b"other.example:80",
    b"http:/proxy/x",
    b"//other.example/proxy/x",
    b"/proxy//x",
    b"/proxy/x//",
    b"/proxy/../admin",
    b"/proxy/..",
    b"/proxy/.",
    b"/.",
    b"/..",
    b"/proxy/./x",
    b"/proxy/%2e%2e/admin",
    b"/proxy/%2E%2e/admin",
    b"/proxy/.%2e/x",
    b"/proxy/%2e./x",
    b"/proxy/%2e",
    b"/proxy/..;/admin",
    b"/proxy/..;a=b/admin",
    b"/proxy/.;/admin",
    b"/proxy/%2e%2e;/admin",
    b"/proxy/..%3b/admin",
    b"/proxy/..%20/admin",
    b"/proxy/%09../admin",
    b"/proxy/.%00./admin",
    b"/proxy/..%0a;x/admin",
    b"/health/../proxy/x",
    b"/proxy%2fx",
    b"/proxy/a%2Fb",
    b"/proxy/%2Fadmin",
    b"/proxy/..%2f..%2fadmin",
    b"/proxy\\..\\admin",
    b"/proxy/..%5c..%5cadmin",
    b"/proxy/a%5Cb",
    b"/proxy/nul%00.json",
    b"/proxy/nul\x00x",
    b"/proxy/\x02",
    b"/proxy/a\tx",
    b"/proxy/a\rx",
    b"/proxy/a\nx",
    b"/proxy/a b",
    b"/proxy/\x7f",
    b"/proxy/\xff",
    b"/proxy/x#frag",
    b"/proxy/x?query",
    b"/proxy/%zz",
    b"/proxy/%",
    b"/proxy/%2",
    b"/proxy/%%41",
    b"/proxy/%u002e",
    b"/proxy/%+1",
    b"/proxy/%c0%ae%c0%ae/x",
    b"/proxy/%C0%AF",
    b"/proxy/%c1%9c",
    b"/proxy/%e0%80%ae/x",
    b"/proxy/%f0%80%80%af/x",
]

CANONICAL = {
    b"/": b"/",
    b"/proxy": b"/proxy",
    b"/proxy/": b"/proxy/",
    b"/PROXY/x": b"/PROXY/x",
    b"/proxy/%61%2D%5f%7e": b"/proxy/a-_~",
    b"/%70roxy/x": b"/proxy/x",
    b"/proxy/a%3Ab%40c%21": b"/proxy/a:b@c!",
    b"/proxy/%c3%a9": b"/proxy/%C3%A9",
    b"/proxy/%25": b"/proxy/%25",
    b"/proxy/%252e%252e/x": b"/proxy/%252e%252e/x",
    b"/proxy/%252f": b"/proxy/%252f",
    b"/proxy/a%20b": b"/proxy/a%20b",
    b"/proxy/a%3fb%23c": b"/proxy/a%3Fb%23c",
    b"/proxy/{x}|[y]": b"/proxy/%7Bx%7D%7C%5By%5D",
    b"/proxy/%7bx": b"/proxy/%7Bx",
    b"/.well-known/x": b"/.well-known/x",
    b"/proxy/...": b"/proxy/...",
    b"/proxy/a..b/.git": b"/proxy/a..b/.git",
    b"/proxy/x;a=b": b"/proxy/x;a=b",
    b"/proxy/%e2%82%ac": b"/proxy/%E2%82%AC",
}


@pytest.mark.parametrize("raw", REFUSED, ids=repr)
def test_what_could_mean_two_resources_is_refused(raw):
    with pytest.raises(MalformedRequest):
        canonical_path(raw)


@pytest.mark.parametrize(("raw", "canonical"), CANONICAL.items(), ids=repr)
def test_one_resource_has_one_form(raw, canonical):
    assert canonical_path(raw) == canonical


PIECES = st.sampled_from(
    [
        b"/",
        b"/",
        b".",
        b"..",
        b"%2e",
        b"%2E",
        b"%",
        b"%2f",
        b"%25",
        b"2e",
        b";",
        b"a",
        b"%61",
        b"%20",
        b"%c3%a9",
        b"{",
        b"%00",
        b"~",
    ]
) | st.binary(min_size=1, max_size=3)
PATHS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


def accepted(raw):
    try:
        return canonical_path(raw)
    except MalformedRequest:
        return None


@given(PATHS)
@example(b"/%252e")
@example(b"/%2525")
def test_canonical_is_idempotent_and_safe(raw):
    path = accepted(raw)
    if path is None:
        return
    assert canonical_path(path) == path
    assert path.count(b"/") == raw.count(b"/")
    assert b"//" not in path
    assert path.isascii()
    assert all(0x21 <= byte <= 0x7E and byte not in b'\\#?"<>^`{|}[]' for byte in path)
    for segment in path.split(b"/"):
        assert segment.partition(b";")[0] not in {b".", b".."}


@given(PATHS)
def test_an_upstream_that_decodes_once_reads_the_same_from_both(raw):
    from urllib.parse import unquote_to_bytes

    path = accepted(raw)
    if path is not None:
        assert unquote_to_bytes(raw) == unquote_to_bytes(path)
        assert unquote_to_bytes(raw).count(b"/") == path.count(b"/")


@given(
    st.text("abz019-._~!$&'()*+,;=:@", min_size=1, max_size=8).filter(
        lambda text: text.partition(";")[0] not in {".", ".."}
    ),
    st.data(),
)
def test_no_spelling_escapes_a_rule(segment, data):
    """However a client escapes a segment's characters, the policy sees the plain segment."""
    plain = b"/" + segment.encode()
    spelled = b"/" + b"".join(
        data.draw(st.sampled_from([bytes((byte,)), b"%%%02x" % byte, b"%%%02X" % byte])) for byte in segment.encode()
    )
    assert canonical_path(spelled) == plain

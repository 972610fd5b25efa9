"""Which service and operation a path belongs to."""

import uuid

import pytest

from domain.catalog.reading import parse_upstream
from domain.catalog.routes import RouteIndex
from domain.snapshots import OperationSnapshot, ServiceSnapshot


def operation(method, pattern, **fields):
    known = {"price_micro": 0, "reserved": False, "enabled": True} | fields
    return OperationSnapshot(id=uuid.uuid4(), name=f"{method} {pattern}", method=method, path_pattern=pattern, **known)


def service(prefix, *operations, enabled=True):
    return ServiceSnapshot(
        id=uuid.uuid4(),
        slug=prefix.strip("/").replace("/", "-"),
        name=prefix,
        enabled=enabled,
        coming_soon=False,
        minimum_plan_id=None,
        route_prefix=prefix.encode(),
        keep_prefix=False,
        upstreams=(parse_upstream("http://127.0.0.1:1"),),
        charge_on="success",
        connect_timeout=1,
        first_byte_timeout=1,
        idle_timeout=1,
        total_timeout=0,
        max_connections=1,
        max_body_bytes=0,
        cors_origins=frozenset(),
        operations=operations,
    )


def found(index, path, method=b"GET"):
    match = index.match(method, path)
    return match and (match.service.name, match.operation and match.operation.name, match.rest)


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        (b"/proxy", "/proxy", b""),
        (b"/proxy/", "/proxy", b"/"),
        (b"/proxy/x/y", "/proxy", b"/x/y"),
        (b"/proxy/deep", "/proxy", b"/deep"),
        (b"/proxy/deep/er", "/proxy/deep/er", b""),
        (b"/proxy/deep/er/x", "/proxy/deep/er", b"/x"),
        (b"/proxy/deep/erx", "/proxy", b"/deep/erx"),
        (b"/alone/at/depth/x", "/alone/at/depth", b"/x"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(path, prefix, rest):
    index = RouteIndex([service("/proxy"), service("/proxy/deep/er"), service("/alone/at/depth")])
    assert found(index, path) == (prefix, None, rest)


@pytest.mark.parametrize(
    "path", [b"/", b"/proxyx", b"/proxyx/", b"/PROXY/x", b"/prox", b"/alone/at", b"/alone", b"/x/proxy"]
)
def test_other_paths_have_no_service(path):
    assert found(RouteIndex([service("/proxy"), service("/alone/at/depth")]), path) is None


def test_parameters_do_not_move_a_path_to_a_cheaper_service():
    index = RouteIndex([service("/proxy"), service("/proxy/dear")])
    assert found(index, b"/proxy/dear;x/y") is None
    assert found(index, b"/proxy;x/y") is None
    assert found(index, b"/proxy/other;x/y") == ("/proxy", None, b"/other;x/y")
    assert found(index, b"/proxy/dear/y;x") == ("/proxy/dear", None, b"/y;x")


OPERATIONS = (
    operation("GET", "/users/{id}"),
    operation("GET", "/users/me"),
    operation("POST", "/users/me"),
    operation("*", "/users/{id}/files/*"),
    operation("GET", "/users/{id}/files/index"),
    operation("POST", "/models/{model}:generate"),
    operation("GET", "/models/{model}"),
    operation("GET", "/export/{name}.csv"),
    operation("DELETE", "/*"),
    operation("GET", "/off", enabled=False),
    operation("GET", "/caf\u00e9/{x}"),
    operation("GET", "/slash/"),
)


@pytest.mark.parametrize(
    ("method", "rest", "name"),
    [
        (b"GET", b"/users/7", "GET /users/{id}"),
        (b"HEAD", b"/users/7", "GET /users/{id}"),
        (b"GET", b"/users/me", "GET /users/me"),
        (b"POST", b"/users/me", "POST /users/me"),
        (b"POST", b"/users/7", None),
        (b"GET", b"/users/7/", "GET /users/{id}"),
        (b"GET", b"/users/", None),
        (b"GET", b"/users", None),
        (b"PUT", b"/users/7/files/a/b", "* /users/{id}/files/*"),
        (b"PUT", b"/users/7/files", "* /users/{id}/files/*"),
        (b"GET", b"/users/7/files/index", "GET /users/{id}/files/index"),
        (b"PUT", b"/users/7/files/index", "* /users/{id}/files/*"),
        (b"GET", b"/users/me/files/x", "* /users/{id}/files/*"),
        (b"POST", b"/models/big:generate", "POST /models/{model}:generate"),
        (b"POST", b"/models/big:generate;v=1", "POST /models/{model}:generate"),
        (b"POST", b"/models/:generate", None),
        (b"GET", b"/models/big:generate", "GET /models/{model}"),
        (b"GET", b"/export/a.csv", "GET /export/{name}.csv"),
        (b"DELETE", b"", "DELETE /*"),
        (b"DELETE", b"/any/thing", "DELETE /*"),
        (b"GET", b"/OFF", None),
        (b"GET", b"/off;jsession=1", "GET /off"),
        (b"GET", b"/users;x/7", "GET /users/{id}"),
        (b"GET", b"/caf%C3%A9/1", "GET /caf\u00e9/{x}"),
        (b"GET", b"/slash", "GET /slash/"),
        (b"GET", b"", None),
        (b"GET", b"/", None),
    ],
)
def test_operations(method, rest, name):
    index = RouteIndex([service("/s", *OPERATIONS)])
    assert found(index, b"/s" + rest, method) == ("/s", name, rest)


def test_disabled_services_and_operations_match():
    index = RouteIndex([service("/s", *OPERATIONS, enabled=False)])
    match = index.match(b"GET", b"/s/off")
    assert match.service.enabled is False
    assert match.operation.enabled is False


def test_a_pattern_that_cannot_match_is_left_out(caplog):
    index = RouteIndex(
        [service("/s", operation("GET", "/a/../b"), operation("GET", "no-slash"), operation("GET", "/c"))]
    )
    assert found(index, b"/s/c") == ("/s", "GET /c", b"/c")
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, b"", b"127.0.0.1:8000"),
        ("https://api.example.com/v1/", "api.example.com", 443, b"/v1", b"api.example.com"),
        ("http://[::1]:81/a", "::1", 81, b"/a", b"[::1]:81"),
        ("https://api.example.com:443", "api.example.com", 443, b"", b"api.example.com"),
    ],
)
def test_upstream_urls(url, host, port, path, header):
    upstream = parse_upstream(url)
    assert (upstream.host, upstream.port, upstream.path, upstream.host_header) == (host, port, path, header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x/a/../b",
        "http://x?q",
        "http://x#f",
        "http://x:99999",
        "http://x y",
        "//x",
    ],
)
def test_other_upstream_urls_are_refused(url):
    with pytest.raises(ValueError, match=r".+"):
        parse_upstream(url)

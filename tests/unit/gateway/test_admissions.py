"""What is remembered of heads: which, for how long, how much, and that two known parts make what the long way makes."""

import dataclasses
import time
from hashlib import sha256
from types import SimpleNamespace
from uuid import uuid4

import pytest

from domain.catalog.reading import parse_upstream
from domain.request_ids import new_raw_id, text_of
from domain.snapshots import NO_ID, Match, OperationSnapshot, ServiceSnapshot
from gateway import tracing
from gateway.admissions import ADMISSION_WEIGHT, MOST_HELD, MOST_WEIGHT, Admissions, Mark
from gateway.client_address import AddressReader
from gateway.forwarding import known_head, upstream_request
from gateway.recording import parts_of
from gateway.upstream.request_head import request_head
from tests.snapshots import key, plan
from tests.unit.gateway.sample_requests import a_request

SECRET = b"pe_live_0123456789_secret"
ORIGINS = (parse_upstream("http://127.0.0.1:1/base"), parse_upstream("http://127.0.0.2:2/other/base"))
SERVICE = ServiceSnapshot(
    id=NO_ID, slug="s", name="s", enabled=True, coming_soon=False, minimum_plan_id=None, route_prefix=b"/proxy",
    keep_prefix=False, upstreams=ORIGINS, charge_on="success", connect_timeout=5, first_byte_timeout=30,
    idle_timeout=60, total_timeout=0, max_connections=256, max_body_bytes=0, cors_origins=frozenset(),
)  # fmt: skip
KEY = key()


def an_operation() -> OperationSnapshot:
    return OperationSnapshot(uuid4(), "o", "GET", "/o", 1, reserved=False, enabled=True)


class Catalog:
    version = 1

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def good_until(self, presented: bytes) -> float:
        assert presented == SECRET
        return time.monotonic() + self.seconds


def an_exchange(*fields, snapshot=KEY, operation=None, **changes):
    """A request that the free policies have let through."""
    made, matched = new_raw_id(), Match(SERVICE, operation, b"/x")
    request = a_request((b"host", b"api"), (b"x-api-key", SECRET), *fields)
    return SimpleNamespace(
        request=dataclasses.replace(request, **changes),
        matched=matched,
        route=matched,
        identity=snapshot,
        key=snapshot,
        plan=plan(),
        address="192.0.2.1",
        key_bytes=SECRET,
        services=SimpleNamespace(addresses=AddressReader(()), begin_trace=tracing.begin),
        id=made,
        request_id_bytes=text_of(made),
        trace_id=b"",
    )


def mark_of(exchange) -> Mark:
    """As the connection makes it of the bytes that were read."""
    request = exchange.request
    query = b"?" + request.query if request.has_query else b""
    line = b"%b %b%b HTTP/1.1" % (request.method, request.target_path, query)
    fields = b"".join(b"%b: %b\r\n" % field for field in request.headers) + b"\r\n"
    return Mark(line, fields, sha256(fields).digest() + request.peer.encode())


def seen(admissions: Admissions, *exchanges, times: int = 2) -> None:
    for exchange in exchanges:
        for _ in range(times):
            admissions.remember(mark_of(exchange), exchange)


def found(admissions: Admissions, exchange):
    return admissions.find(*mark_of(exchange))


def test_a_head_is_remembered_from_its_second_time_on():
    admissions, exchange = Admissions(Catalog()), an_exchange()
    seen(admissions, exchange, times=1)
    assert found(admissions, exchange) is None
    seen(admissions, exchange, times=1)
    line, admission = found(admissions, exchange)
    assert (line.matched, admission.fields.key, admission.fields.plan) == (exchange.matched, KEY, exchange.plan)
    assert admission.request(line).headers == [(b"host", b"api")]


def test_a_known_line_and_known_fields_are_known_together():
    admissions = Admissions(Catalog())
    here, there = {"target_path": b"/proxy/here"}, {"target_path": b"/proxy/there", "query": b"a=1", "has_query": True}
    seen(admissions, an_exchange(**here), an_exchange((b"accept", b"*/*"), **there))
    line, admission = found(admissions, an_exchange(**there))
    asked = admission.request(line)
    assert (asked.target_path, asked.query, asked.headers) == (b"/proxy/there", b"a=1", [(b"host", b"api")])


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda origin: origin.url)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE"])
@pytest.mark.parametrize("query", [b"", b"a=%20b"])
def test_what_two_parts_make_is_what_the_long_way_makes(origin, method, query):
    """No request was seen whole: the line came with other fields, and the fields with another line."""
    line = {"method": method, "target_path": b"/proxy/a%20b/c", "query": query, "has_query": bool(query)}
    fields = ((b"accept", b"*/*"), (b"authorization", b"Basic eA=="), (b"user-agent", b"u"), (b"content-length", b"0"))
    admissions, exchange = Admissions(Catalog()), an_exchange(*fields, **line)
    seen(admissions, an_exchange(**line), an_exchange(*fields))
    known, admission = found(admissions, exchange)
    long_way = request_head(upstream_request(exchange, origin))
    assert known_head(exchange, known.heads[origin.url], admission.fields.lines) == long_way
    assert (known.log, admission.fields.log) == parts_of(exchange, confined=True)
    assert (known.upstream.method, known.upstream.body) == (method, 0)


def test_nothing_stands_once_the_catalog_has_moved():
    catalog, exchange = Catalog(), an_exchange()
    admissions = Admissions(catalog)
    seen(admissions, exchange)
    catalog.version += 1
    assert found(admissions, exchange) is None
    seen(admissions, exchange, times=1)
    assert found(admissions, exchange) is not None


@pytest.mark.parametrize("part", ["line", "fields"])
def test_neither_part_outlives_the_catalog_by_the_other(part):
    catalog, exchange = Catalog(), an_exchange()
    admissions = Admissions(catalog)
    seen(admissions, exchange)
    catalog.version += 1
    seen(admissions, an_exchange((b"x", b"y")) if part == "line" else an_exchange(target_path=b"/proxy/y"), times=2)
    assert found(admissions, exchange) is None


def test_nothing_stands_once_the_key_is_too_old():
    admissions, exchange = Admissions(Catalog(seconds=0.05)), an_exchange()
    seen(admissions, exchange)
    assert found(admissions, exchange) is not None
    time.sleep(0.06)
    assert found(admissions, exchange) is None


@pytest.mark.parametrize(("expires_in", "most"), [(0.5, 0.5), (1000, 1.0)])
def test_a_key_that_expires_is_looked_at_again_within_a_second(expires_in, most):
    exchange = an_exchange(snapshot=dataclasses.replace(KEY, expires_at=time.time() + expires_in))
    admissions = Admissions(Catalog())
    seen(admissions, exchange)
    _, admission = found(admissions, exchange)
    assert 0 < admission.fields.good_until_ns / 1e9 - time.monotonic() <= most


def test_a_caller_is_let_through_to_the_operations_that_it_was_let_through_to_before():
    """Its scopes and its plan may allow one and not the other."""
    allowed, other = an_operation(), an_operation()
    admissions = Admissions(Catalog())
    here = an_exchange(operation=allowed, target_path=b"/proxy/a")
    there = an_exchange((b"user-agent", b"another caller"), operation=other, target_path=b"/proxy/b")
    seen(admissions, here, there)
    assert found(admissions, here) is not None
    assert found(admissions, an_exchange(target_path=b"/proxy/b", operation=other)) is None
    seen(admissions, an_exchange(target_path=b"/proxy/c", operation=other))
    assert found(admissions, an_exchange(target_path=b"/proxy/b", operation=other)) is not None


@pytest.mark.parametrize("target", [{"target_path": b"/proxy/" + SECRET}, {"query": b"k=" + SECRET, "has_query": True}])
@pytest.mark.parametrize("spelled", [False, True])
def test_a_key_in_a_line_that_is_known_of_others_is_looked_at_the_long_way(target, spelled):
    if spelled:
        target = {part: text if text is True else text.replace(b"_s", b"_%73") for part, text in target.items()}
    other = b"pe_live_9876543210_another_one"
    admissions = Admissions(SimpleNamespace(version=1, good_until=lambda _: time.monotonic() + 60))
    stranger = an_exchange(**target)
    stranger.key_bytes, stranger.request.headers[1] = other, (b"x-api-key", other)
    seen(admissions, stranger, an_exchange())
    assert found(admissions, stranger) is not None
    assert found(admissions, an_exchange(**target)) is None


def test_who_sent_it_is_a_part_of_it():
    admissions = Admissions(Catalog())
    seen(admissions, an_exchange())
    assert found(admissions, an_exchange(peer="192.0.2.2")) is None


@pytest.mark.parametrize(
    "exchange",
    [
        an_exchange(body=5),
        an_exchange(body=None),
        an_exchange(version="1.0"),
        an_exchange(method=b"HEAD"),
        an_exchange(method=b"OPTIONS"),
        an_exchange((b"upgrade", b"websocket")),
        an_exchange((b"expect", b"100-continue")),
        an_exchange((b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        an_exchange(*((b"x-%d" % number, b"v") for number in range(40))),
    ],
)
def test_of_what_is_out_of_the_ordinary_neither_part_is_remembered(exchange):
    """An upgrade beside POST is none, and the same fields beside GET are one."""
    admissions = Admissions(Catalog())
    seen(admissions, exchange)
    assert not admissions._lines._held
    assert not admissions._fields._held


def test_an_expired_key_is_not_remembered():
    admissions, exchange = (
        Admissions(Catalog()),
        an_exchange(snapshot=dataclasses.replace(KEY, expires_at=time.time() - 1)),
    )
    seen(admissions, exchange)
    assert found(admissions, exchange) is None


@pytest.mark.parametrize("fields", [(), ((b"authorization", b"Bearer " + SECRET),)])
def test_no_key_is_held(fields):
    admissions = Admissions(Catalog())
    seen(admissions, an_exchange(*fields))
    line, admission = found(admissions, an_exchange(*fields))
    for part in (line, admission.fields):
        assert SECRET not in repr([getattr(part, name) for name in part.__slots__]).encode()


def test_the_memory_is_bounded():
    admissions = Admissions(Catalog())
    made = [an_exchange((b"x", b"%d" % number), target_path=b"/proxy/%d" % number) for number in range(MOST_HELD + 50)]
    seen(admissions, *made)
    assert next(number for number, each in enumerate(made) if found(admissions, each) is not None) >= 50


@pytest.mark.parametrize("part", ["line", "fields"])
def test_the_memory_is_bounded_in_bytes(part):
    """Whoever sends a million long heads must not be held whole."""
    admissions, size = Admissions(Catalog()), 0
    for number in range(MOST_WEIGHT // 4_000 + 50):
        text = b"%05d" % number + b"v" * 3_500
        exchange = an_exchange(target_path=b"/proxy/" + text) if part == "line" else an_exchange((b"x-long", text))
        seen(admissions, exchange)
        assert found(admissions, exchange) is not None
    for held in (admissions._lines._held if part == "line" else admissions._fields._held).values():
        texts = (
            [*held.heads.values(), held.texts, *held.request[1:3], held.log.texts]
            if part == "line"
            else [*(value for _, value in held.headers), held.lines]
        )
        size += sum(map(len, texts))
    assert MOST_WEIGHT // 4 < size <= MOST_WEIGHT


def test_what_one_caller_may_is_bounded_too():
    """One set of fields, and more operations than the memory holds."""
    admissions = Admissions(Catalog())
    exchange = an_exchange()
    seen(admissions, exchange)
    for _ in range(MOST_WEIGHT // ADMISSION_WEIGHT + 50):
        exchange.matched = exchange.route = Match(SERVICE, an_operation(), b"/x")
        admissions.remember(mark_of(exchange), exchange)
    assert len(found(admissions, exchange)[1].fields.admissions) < 100


def test_a_hostile_variety_leaves_nothing_behind_that_is_not_bounded():
    """Each head once: nothing is remembered, and what was seen is forgotten in time."""
    admissions = Admissions(Catalog())
    for number in range(5 * MOST_HELD):
        admissions.remember(Mark(b"GET /%d HTTP/1.1" % number, b"", b"%d" % number), an_exchange())
    for memory in (admissions._lines, admissions._fields):
        assert not memory._held
        assert len(memory._seen) <= 2 * MOST_HELD


def test_what_is_remembered_no_more_is_in_no_circle():
    catalog = Catalog()
    admissions, exchange = Admissions(catalog), an_exchange()
    seen(admissions, exchange)
    _, replaced = found(admissions, exchange)
    assert replaced.fields.admissions
    catalog.version += 1
    seen(admissions, exchange, times=1)
    _, admission = found(admissions, exchange)
    assert not replaced.fields.admissions
    assert list(admission.fields.admissions.values()) == [admission]
    for number in range(MOST_HELD):
        seen(admissions, an_exchange((b"x-number", b"%d" % number)))
    assert found(admissions, exchange) is None
    assert not admission.fields.admissions

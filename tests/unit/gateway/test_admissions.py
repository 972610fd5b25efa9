import dataclasses
import time
from types import SimpleNamespace

import pytest

from domain.catalog.reading import parse_upstream
from domain.request_ids import new_raw_id, text_of
from domain.snapshots import NO_ID, Match, ServiceSnapshot
from gateway.admissions import MOST_HELD, MOST_WEIGHT, Admissions
from gateway.client_address import AddressReader
from gateway.forwarding import known_head, upstream_request
from gateway.upstream.request_head import request_head
from tests.snapshots import key, plan
from tests.unit.gateway.sample_requests import a_request

SECRET = b"pe_live_0123456789_secret"
MARK = b"m" * 32
ORIGIN = parse_upstream("http://127.0.0.1:1/base")
SERVICE = ServiceSnapshot(
    id=NO_ID, slug="s", name="s", enabled=True, coming_soon=False, minimum_plan_id=None, route_prefix=b"/proxy",
    keep_prefix=False, upstreams=(ORIGIN,), charge_on="success", connect_timeout=5, first_byte_timeout=30,
    idle_timeout=60, total_timeout=0, max_connections=256, max_body_bytes=0, cors_origins=frozenset(),
)  # fmt: skip


class Catalog:
    version = 1

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def good_until(self, presented: bytes) -> float:
        assert presented == SECRET
        return time.monotonic() + self.seconds


def an_exchange(*fields, snapshot=None, **changes):
    made = new_raw_id()
    request = a_request((b"host", b"api"), (b"x-api-key", SECRET), *fields)
    return SimpleNamespace(
        request=dataclasses.replace(request, **changes),
        matched=Match(SERVICE, None, b"/x"),
        key=snapshot or key(),
        plan=plan(),
        address="192.0.2.1",
        key_bytes=SECRET,
        services=SimpleNamespace(addresses=AddressReader(())),
        id=made,
        request_id_bytes=text_of(made),
        trace_id=b"",
    )


def remembered(catalog, exchange):
    admissions = Admissions(catalog)
    for _ in range(2):
        admissions.remember(MARK, exchange)
    return admissions, admissions.get(MARK)


def test_a_head_is_remembered_from_its_second_time_on():
    admissions = Admissions(Catalog())
    admissions.remember(MARK, an_exchange())
    assert admissions.get(MARK) is None
    admissions.remember(MARK, an_exchange())
    assert admissions.stands(admissions.get(MARK), time.monotonic_ns())


def test_nothing_stands_once_the_catalog_has_moved_or_the_key_is_too_old():
    catalog = Catalog(seconds=5)
    admissions, held = remembered(catalog, an_exchange())
    now = time.monotonic_ns()
    assert admissions.stands(held, now + 4 * 10**9)
    assert not admissions.stands(held, now + 5 * 10**9 + 10**8)
    catalog.version += 1
    assert not admissions.stands(held, now)


def test_a_key_that_expires_is_looked_at_again_within_a_second():
    expiring = dataclasses.replace(key(), expires_at=time.time() + 0.5)
    admissions, held = remembered(Catalog(), an_exchange(snapshot=expiring))
    assert not admissions.stands(held, time.monotonic_ns() + 6 * 10**8)
    later = dataclasses.replace(key(), expires_at=time.time() + 1000)
    admissions, held = remembered(Catalog(), an_exchange(snapshot=later))
    assert not admissions.stands(held, time.monotonic_ns() + 2 * 10**9)


@pytest.mark.parametrize(
    "exchange",
    [
        an_exchange(body=5),
        an_exchange(body=None),
        an_exchange(version="1.0"),
        an_exchange(upgrade=b"websocket"),
        an_exchange((b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        an_exchange(snapshot=dataclasses.replace(key(), expires_at=time.time() - 1)),
    ],
)
def test_what_is_out_of_the_ordinary_is_not_remembered(exchange):
    assert remembered(Catalog(), exchange)[1] is None


@pytest.mark.parametrize("fields", [(), ((b"authorization", b"Bearer " + SECRET),)])
def test_no_key_is_held(fields):
    held = remembered(Catalog(), an_exchange(*fields))[1]
    assert SECRET not in repr(held.request).encode()
    assert SECRET not in b"".join(held.heads.values())


def test_the_memory_is_bounded():
    admissions = Admissions(Catalog())
    for number in range(MOST_HELD + 50):
        mark = number.to_bytes(32, "big")
        admissions.remember(mark, an_exchange())
        admissions.remember(mark, an_exchange())
    held = [number for number in range(MOST_HELD + 50) if admissions.get(number.to_bytes(32, "big")) is not None]
    assert len(held) == MOST_HELD
    assert held[0] == 50


def test_the_memory_is_bounded_in_bytes():
    """Whoever sends a million long heads must not be held whole."""
    admissions, size = Admissions(Catalog()), 0
    for number in range(MOST_WEIGHT // 4_000 + 50):
        mark = number.to_bytes(32, "big")
        for _ in range(2):
            admissions.remember(mark, an_exchange((b"x-long", b"%05d" % number + b"v" * 3_500)))
    for number in range(MOST_WEIGHT // 4_000 + 50):
        held = admissions.get(number.to_bytes(32, "big"))
        if held is not None:
            size += sum(len(value) for _, value in held.request.headers) + sum(map(len, held.heads.values()))
    assert MOST_WEIGHT // 2 < size <= MOST_WEIGHT


def test_a_known_head_goes_upstream_as_an_unknown_one_would():
    exchange = an_exchange((b"accept", b"*/*"), (b"authorization", b"Basic eA=="))
    held = remembered(Catalog(), exchange)[1]
    long_way = request_head(upstream_request(exchange, ORIGIN))
    assert known_head(exchange, held.heads[ORIGIN.url]) == long_way
    assert (held.upstream.method, held.upstream.body) == (exchange.request.method, 0)

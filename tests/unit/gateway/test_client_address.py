import pytest

from gateway.bad_keys import BadKeyThrottle
from gateway.client_address import AddressReader
from tests.unit.gateway.sample_requests import a_request


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ((), b"203.0.113.66", "192.0.2.1"),
        (("192.0.2.0/24",), b"203.0.113.66", "203.0.113.66"),
        (("192.0.2.0/24",), b"198.51.100.1, 203.0.113.66, 192.0.2.9", "203.0.113.66"),
        (("192.0.2.0/24",), b"rubbish", "192.0.2.1"),
        (("192.0.2.0/24",), b"203.0.113.66, rubbish", "192.0.2.1"),
        (("192.0.2.0/24",), b"[2001:db8::1]", "2001:db8::1"),
        (("192.0.2.0/24",), b"192.0.2.7", "192.0.2.1"),
    ],
)
def test_p5_only_a_trusted_proxy_is_believed(trusted, forwarded, expected):
    request = a_request((b"x-forwarded-for", forwarded))
    assert AddressReader(trusted).address_of(request) == expected


def test_loopback_is_not_trusted_by_itself():
    request = a_request((b"x-forwarded-for", b"203.0.113.66"), peer="127.0.0.1")
    assert AddressReader(()).address_of(request) == "127.0.0.1"


def test_k4_bad_keys_are_throttled_by_address_and_forgiven_with_the_window():
    now = [30.0]
    throttle = BadKeyThrottle(3, lambda: now[0])
    assert [throttle.hit("a") for _ in range(5)] == [0, 0, 0, 30, 30]
    assert throttle.hit("b") == 0
    now[0] = 60.0
    assert throttle.hit("a") == 0

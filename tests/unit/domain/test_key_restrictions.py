"""Scopes, networks and expiry of a key."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.faults import InvalidValue
from domain.key_restrictions import valid_expiry, valid_networks, valid_scopes


def test_scopes_and_networks_are_sorted_and_single():
    assert valid_scopes(["b", "a:get item", "b"]) == ["a:get item", "b"]
    assert valid_networks(["2001:db8::/32", "10.0.0.1", "10.0.0.1/32"]) == ["10.0.0.1/32", "2001:db8::/32"]


@pytest.mark.parametrize("scope", ["", "A", "a:", ":x", "a b", "a:x\ny", "*", "a: x"])
def test_bad_scopes(scope):
    with pytest.raises(InvalidValue):
        valid_scopes([scope])


@pytest.mark.parametrize(
    "network", ["", "x", "10.0.0.0/33", "10.0.0.256", "fe80::1%eth0", "10.0.0.0/8,11.0.0.0/8", "::/129"]
)
def test_bad_networks(network):
    with pytest.raises(InvalidValue):
        valid_networks([network])


def test_host_bits_are_explained():
    with pytest.raises(InvalidValue, match=r"did you mean 10\.0\.0\.0/8"):
        valid_networks(["10.0.0.1/8"])


def test_there_are_bounds():
    with pytest.raises(InvalidValue):
        valid_scopes([f"s{number}" for number in range(101)])
    with pytest.raises(InvalidValue):
        valid_networks([f"10.0.0.{number}" for number in range(101)])


def test_an_expiry_lies_ahead_and_has_a_zone():
    ahead = datetime.now(UTC) + timedelta(hours=1)
    assert valid_expiry(ahead) == ahead
    assert valid_expiry(None) is None
    for moment in (datetime.now(UTC) - timedelta(seconds=1), ahead.replace(tzinfo=None)):
        with pytest.raises(InvalidValue):
            valid_expiry(moment)

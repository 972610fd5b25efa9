import pytest

from domain.refusals import AmbiguousCredentials, InvalidKey, KeyInQuery
from gateway.credentials import presented_key
from tests.unit.gateway.sample_requests import a_request

KEY = b"pe_live_0123456789_" + b"a" * 38
OTHER = b"pe_test_0123456789_" + b"b" * 38


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-api-key", KEY)],
        [(b"authorization", b"Bearer " + KEY)],
        [(b"authorization", b"bearer  " + KEY)],
        [(b"x-api-key", KEY), (b"authorization", b"Bearer " + KEY)],
        [(b"x-api-key", KEY), (b"authorization", b"Bearer upstream-token")],
        [(b"x-api-key", KEY), (b"authorization", b"Basic dTpw")],
        [(b"x-api-key", KEY), (b"x-api-key", KEY)],
    ],
)
def test_one_key_is_found(headers):
    assert presented_key(a_request(*headers)) == KEY


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-api-key", KEY), (b"x-api-key", OTHER)],
        [(b"x-api-key", b""), (b"x-api-key", KEY)],
        [(b"x-api-key", KEY), (b"authorization", b"Bearer " + OTHER)],
        [(b"authorization", b"Bearer " + KEY), (b"authorization", b"Bearer " + OTHER)],
    ],
)
def test_k2_two_different_keys_are_ambiguous(headers):
    with pytest.raises(AmbiguousCredentials):
        presented_key(a_request(*headers))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-api-key", b"")],
        [(b"authorization", b"Basic dTpw")],
        [(b"x_api_key", KEY)],
        [(b"x-api-key", b"k" * 513)],
    ],
)
def test_no_key_is_invalid(headers):
    with pytest.raises(InvalidKey):
        presented_key(a_request(*headers))


@pytest.mark.parametrize("query", [b"api_key=whatever", b"a=1&" + KEY, b"x=pe%5Flive%5F0123", b"ApiKey=x"])
def test_p10_a_key_in_the_query_is_refused(query):
    with pytest.raises(KeyInQuery):
        presented_key(a_request(query=query))


def test_p10_a_key_in_the_query_is_refused_beside_a_good_one_but_the_upstreams_own_parameter_passes():
    with pytest.raises(KeyInQuery):
        presented_key(a_request((b"x-api-key", KEY), query=b"x=" + KEY))
    assert presented_key(a_request((b"x-api-key", KEY), query=b"api_key=of-the-upstream")) == KEY

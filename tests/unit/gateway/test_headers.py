import pytest

from gateway.headers import LEGACY_LIMIT, to_client, to_upstream
from tests.unit.gateway.sample_requests import a_request

KEY = b"pe_live_0123456789_" + b"a" * 38


def forwarded(*headers, goes_on=False):
    return to_upstream(a_request(*headers), KEY, trace_goes_on=goes_on)


def test_end_to_end_fields_keep_order_and_duplicates():
    fields = [(b"accept", b"a"), (b"cookie", b"x=1"), (b"accept", b"b"), (b"range", b"bytes=0-1")]
    assert forwarded(*fields) == fields


@pytest.mark.parametrize(
    "name",
    [
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
        b"http2-settings",
        b"transfer-encoding",
    ],
)
def test_p6_hop_by_hop_fields_never_cross(name):
    assert forwarded((name, b"x")) == []
    assert to_client([(name, b"x")]) == []


def test_p4_fields_that_connection_names_are_dropped_and_ours_are_not_at_risk():
    assert forwarded((b"connection", b"close, X-Private"), (b"x-private", b"v"), (b"accept", b"*/*")) == [
        (b"accept", b"*/*")
    ]


@pytest.mark.parametrize(
    "name",
    [
        b"x-pe-plan",
        b"x-forwarded-for",
        b"x-real-ip",
        b"forwarded",
        b"x_pe_plan",
        b"x-pe_plan",
        b"x_forwarded_for",
        b"x_real-ip",
        b"transfer_encoding",
        b"content_length",
        b"x_api_key",
    ],
)
def test_p5_reserved_fields_and_their_underscore_twins_are_dropped(name):
    assert forwarded((name, b"spoofed")) == []


def test_an_ordinary_underscore_name_passes():
    assert forwarded((b"x_custom", b"v")) == [(b"x_custom", b"v")]


def test_our_key_never_goes_on_and_a_foreign_authorization_does():
    assert forwarded((b"x-api-key", KEY), (b"authorization", b"Bearer " + KEY)) == []
    assert forwarded((b"authorization", b"Bearer upstream")) == [(b"authorization", b"Bearer upstream")]


def test_tracestate_goes_on_only_with_its_trace():
    assert forwarded((b"tracestate", b"a=b")) == []
    assert forwarded((b"tracestate", b"a=b"), goes_on=True) == [(b"tracestate", b"a=b")]


def test_answers_keep_cookies_apart_and_lose_only_what_ours_replace():
    answer = [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"up"),
        (b"x-pe-cost", b"1"),
        (b"x-ratelimit-limit", b"5"),
    ]
    assert to_client(answer) == [*answer[:3], answer[4]]
    assert to_client(answer, replace=LEGACY_LIMIT) == answer[:3]

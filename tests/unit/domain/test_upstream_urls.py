"""An upstream URL is brought to one form or refused."""

import pytest

from domain.faults import InvalidValue
from domain.upstream_urls import valid_upstream_url, valid_upstreams


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("HTTP://Example.COM/", "http://example.com"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://[::1]:8080/a%20b", "http://[::1]:8080/a%20b"),
        ("http://my_service:80", "http://my_service:80"),
        ("https://h/a;v=1/b", "https://h/a;v=1/b"),
    ],
)
def test_good_urls_have_one_form(given, stored):
    assert valid_upstream_url(given) == stored
    assert valid_upstream_url(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://h:",
        "http:///p",
        "http://h/?",
        "http://h/?a=1",
        "http://h/#",
        "http://h/a//b",
        "http://h/../b",
        "http://h/..;x/b",
        "http://h/%2e%2e/b",
        "http://h/a%2fb",
        "http://h/%zz",
        "http://h/a b",
        "http://h\r\nX: y",
        "http://[::1",
        "file:///x",
        "http://münchen.de",
        "http://999.1.1.1",
        "http://-h",
        "http://h\\@x",
        "http://[v1.x]/",
        "http://h/%00",
    ],
)
def test_bad_urls_are_refused(text):
    with pytest.raises(InvalidValue):
        valid_upstream_url(text)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(InvalidValue) as caught:
        valid_upstream_url("http://user:hunter2@h/")
    assert "hunter2" not in str(caught.value)


def test_a_service_has_at_least_one_upstream_and_none_twice():
    assert valid_upstreams(["http://a", "http://b/"]) == [
        {"url": "http://a", "weight": 1},
        {"url": "http://b", "weight": 1},
    ]
    for urls in ([], ["http://a", "http://A/"]):
        with pytest.raises(InvalidValue):
            valid_upstreams(urls)

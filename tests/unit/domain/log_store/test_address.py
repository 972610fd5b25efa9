"""LOG_STORE_URL: what it means, what it may not be, and that its password is in no text."""

import pytest
from pydantic import ValidationError

from domain.log_store.address import parse_address
from domain.settings import LogSettings

SECRET = "p@ss'w%rd"


def test_every_part_is_read_and_has_a_default():
    found = parse_address("clickhouse://logs:p%40ss%27w%25rd@[::1]:9000/paid_endpoint")
    assert (found.base, found.user, found.password, found.database) == (
        "http://[::1]:9000",
        "logs",
        SECRET,
        "paid_endpoint",
    )
    plain, secure = parse_address("clickhouse://example"), parse_address("clickhouses://example/")
    assert (plain.base, plain.user, plain.password, plain.database) == ("http://example:8123", "default", "", "default")
    assert secure.base == "https://example:8443"


@pytest.mark.parametrize(
    "url",
    [
        "http://example/logs", "clickhouse://", "clickhouse:///logs", "clickhouse://example/a-b", "clickhouse://example/a/b",
        "clickhouse://example/a;drop", "clickhouse://example:port/a", "clickhouse://example/a?x=1", "clickhouse://[::1/a",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_quoted(url, monkeypatch):
    with pytest.raises(ValueError, match=r"must be|is no URL|names a database") as fault:
        parse_address(url)
    assert "drop" not in str(fault.value)
    monkeypatch.setenv("LOG_STORE_URL", f"{url}#hush-hush")
    with pytest.raises(ValidationError) as fault:
        LogSettings()
    assert "hush-hush" not in str(fault.value)


def test_the_password_is_in_no_text(monkeypatch):
    url = "clickhouse://logs:hush-hush@example/logs"
    monkeypatch.setenv("LOG_STORE_URL", url)
    address = parse_address(url)
    for text in (repr(address), str(address), address.shown, repr(LogSettings()), str(LogSettings().store_url)):
        assert "hush" not in text

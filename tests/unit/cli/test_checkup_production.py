"""`doctor` knows a development instance, and names each setting of one that customers would suffer from."""

import pytest

from cli.checkup.production import check_production, needed_connections
from domain.settings import load_settings

GOOD = {
    "PORTAL_PUBLIC_URL": "https://app.example.com",
    "PORTAL_GATEWAY_URL": "https://api.example.com",
    "GATEWAY_ALLOWED_HOSTS": "api.example.com",
    "KEY_PEPPERS": "1:" + bytes(range(32)).hex(),
    "SECRET_KEYS": "1:" + bytes(range(32, 64)).hex(),
    "MAIL_SMTP_URL": "smtps://mail.example.com",
    "MAIL_SENDER": "Example <no-reply@example.com>",
}


@pytest.fixture
def found(monkeypatch):
    def findings(**changes):
        for name, value in {**GOOD, **changes}.items():
            monkeypatch.setenv(name, value)
        return {finding.subject: finding.status for finding in check_production(load_settings())}

    return findings


def test_a_good_instance_has_nothing_to_do(found):
    assert found() == {"production": "ok"}


@pytest.mark.parametrize("url", ["", "http://localhost:3000", "http://127.0.0.1:3000", "http://pe.localhost"])
def test_a_development_instance_is_left_in_peace(found, url):
    unsafe = {"MAIL_MAILBOX": "true", "SECRET_KEYS": "", "WEBHOOK_ALLOW_PRIVATE": "true"}
    assert found(PORTAL_PUBLIC_URL=url, **unsafe) == {"production": "ok"}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"PORTAL_PUBLIC_URL": "http://app.example.com"}, {"cookies": "fail"}),
        ({"PORTAL_GATEWAY_URL": "http://api.example.com"}, {"gateway's address": "warn"}),
        ({"ADMIN_PUBLIC_URL": "http://admin.example.com"}, {"operators' cookies": "fail"}),
        ({"ADMIN_FACTOR_REQUIRED": "false"}, {"operators": "fail"}),
        ({"GATEWAY_ALLOWED_HOSTS": "*"}, {"hosts": "warn"}),
        ({"SECRET_KEYS": ""}, {"secret keys": "fail"}),
        ({"SECRET_KEYS": "1:" + "33" * 32}, {"secret keys": "fail"}),
        ({"SECRET_KEYS": GOOD["KEY_PEPPERS"]}, {"secret keys": "warn"}),
        ({"WEBHOOK_ALLOW_PRIVATE": "true"}, {"webhooks": "fail"}),
        ({"LOG_LEVEL": "DEBUG"}, {"log level": "warn"}),
        ({"MAIL_MAILBOX": "true"}, {"mails": "fail"}),
        ({"MAIL_SMTP_URL": ""}, {"mails": "fail"}),
        ({"MAIL_SENDER": "x <x@localhost>"}, {"mails": "warn"}),
    ],
)
def test_what_is_unsafe_is_named(found, changes, wanted):
    assert found(**changes) == wanted


def test_connections_are_counted_as_the_processes_open_them(monkeypatch):
    monkeypatch.setenv("GATEWAY_WORKERS", "4")
    monkeypatch.setenv("DATABASE_POOL_MAX_SIZE", "8")
    assert needed_connections(load_settings()) == (4 + 3) * 10 + 3

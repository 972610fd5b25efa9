"""Checks of what is right for a developer's machine and wrong for customers. A development instance is only named as one."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cli.checkup.finding import Finding, judge
from domain.settings import Settings

PROCESSES_BESIDE = 3
"""Portal, back office and jobs, which have a pool each."""
_BESIDE_A_POOL, _INGESTER = 2, 3
_LEAST_KINDS = 12


def is_development(settings: Settings) -> bool:
    """Whether customers reach the portal at this machine only, as `paid-endpoint up` has it."""
    host = urlsplit(settings.portal.public_url).hostname or "localhost"
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_production(settings: Settings) -> Iterator[Finding]:
    """One finding for each setting that is unsafe here; one in all where nothing is."""
    if is_development(settings):
        yield Finding("ok", "production", "PORTAL_PUBLIC_URL is this machine: taken for a development instance")
        return
    found = [*_check_secrets(settings), *_check_doors(settings), *_check_mails(settings)]
    yield from found or [Finding("ok", "production", "no setting of a development instance")]


def needed_connections(settings: Settings) -> int:
    """What this machine's gateway, and one each of portal, back office and jobs, may hold at once."""
    each = settings.database.pool_max_size + _BESIDE_A_POOL
    return (settings.gateway.workers + PROCESSES_BESIDE) * each + _INGESTER


async def check_database_server(connection: Any, settings: Settings) -> list[Finding]:
    """How PostgreSQL is set up: connections, what a power cut would take, its time zone."""
    row = await connection.fetchrow(
        "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as free,"
        " current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,"
        " current_setting('synchronous_commit') as synchronous_commit, current_setting('timezone') as zone"
    )
    needed = needed_connections(settings)
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if row[name] == "off"]
    real = not is_development(settings)
    return [
        judge(
            "connections of postgres",
            f"{row['free']} for ordinary roles, {needed} may be used from here",
            warns=needed > row["free"],
            advice="Raise max_connections, or lower DATABASE_POOL_MAX_SIZE or GATEWAY_WORKERS; other nodes come on top.",
        ),
        judge(
            "durability of postgres",
            f"{', '.join(off)} off" if off else "commits are on the disk",
            fails=bool(off) and real,
            warns=bool(off),
            advice="Switch it on: what was charged, paid or revoked could be gone after a power cut.",
        ),
        judge(
            "time zone of postgres",
            row["zone"],
            warns=row["zone"] not in {"UTC", "Etc/UTC", "GMT", "Etc/GMT"},
            advice="Set it to UTC, so that what you read with psql are the days that limits and partitions go by.",
        ),
    ]


def _check_secrets(settings: Settings) -> Iterator[Finding]:
    keys = settings.secrets.key_by_version if settings.secrets.keys.get_secret_value() else {}
    make = "Make one with `paid-endpoint doctor --new-pepper`, put it into SECRET_KEYS and keep it safe."
    if not keys:
        yield Finding("fail", "secret keys", "SECRET_KEYS is empty", make)
    elif weak := [version for version, key in keys.items() if len(set(key)) < _LEAST_KINDS]:
        yield Finding("fail", "secret keys", f"version {weak[0]} is not random", make)
    if set(keys.values()) & set(settings.keys.pepper_by_version.values()):
        advice = "Add another version of one of them: whoever learns one of two secrets should not have both."
        yield Finding("warn", "secret keys", "one of them is a pepper too", advice)


def _check_doors(settings: Settings) -> Iterator[Finding]:
    if not settings.portal.secure:
        advice = "Serve it by https and say so: cookies are `Secure` only then."
        yield Finding("fail", "cookies", "PORTAL_PUBLIC_URL is not https: sessions travel in the clear", advice)
    if not settings.admin.secure and settings.admin.public_url:
        advice = "Serve it by https and say so, or reach it by this machine only and leave ADMIN_PUBLIC_URL empty."
        yield Finding(
            "fail", "operators' cookies", "ADMIN_PUBLIC_URL is not https: sessions travel in the clear", advice
        )
    if not settings.admin.factor_required:
        advice = "Take ADMIN_FACTOR_REQUIRED away: a password alone would open everything."
        yield Finding("fail", "operators", "may do everything without a second factor", advice)
    if settings.portal.gateway_url.startswith("http://"):
        advice = "Serve it by https: examples tell customers to send their keys there."
        yield Finding("warn", "gateway's address", "PORTAL_GATEWAY_URL is not https: keys travel in the clear", advice)
    if "*" in settings.gateway.allowed_hosts:
        advice = "Name the hosts that customers call, and the one that your health checks send."
        yield Finding("warn", "hosts", "GATEWAY_ALLOWED_HOSTS is `*`: requests for any name are served", advice)
    if settings.webhooks.allow_private:
        advice = "Take WEBHOOK_ALLOW_PRIVATE away."
        yield Finding("fail", "webhooks", "customers' webhooks may reach private addresses from here", advice)
    if settings.logs.level == "DEBUG":
        yield Finding("warn", "log level", "DEBUG: the logs of libraries may hold what customers sent", "Set INFO.")


def _check_mails(settings: Settings) -> Iterator[Finding]:
    if settings.mail.mailbox:
        advice = "Take MAIL_MAILBOX away."
        yield Finding("fail", "mails", "MAIL_MAILBOX: whoever opens that page can sign in as anybody", advice)
    if not settings.mail.smtp_url.get_secret_value():
        yield Finding("fail", "mails", "without MAIL_SMTP_URL nobody gets one", "Name your mail server.")
    elif "@localhost" in settings.mail.sender:
        yield Finding(
            "warn", "mails", "MAIL_SENDER is at localhost: mail servers refuse it", "Set an address of yours."
        )

"""Checks of ClickHouse for request logs: set where the database says so, reached, of this version, in time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg

from cli.checkup.finding import Finding, judge
from domain.faults import Unavailable
from domain.log_store.store import open_store
from domain.log_store.turning import StoreReport, report
from domain.settings import Settings

LATE_SECONDS = 60.0
_PATIENCE = 5.0
_SUBJECT = "log store"


async def check_log_store(settings: Settings) -> AsyncIterator[Finding]:
    """Nothing where logs are in PostgreSQL alone, and the database knows of no log store."""
    try:
        connection = await asyncpg.connect(settings.database.url.get_secret_value(), timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return  # said already
    try:
        if not await connection.fetchval("select to_regclass('log_store')"):
            return
        url = settings.logs.store_url.get_secret_value()
        if not url:
            if await connection.fetchval("select exists (select from log_store)"):
                advice = "Set it for every process as on the others, or run: paid-endpoint log-store off"
                yield Finding(
                    "fail", _SUBJECT, "the database sends logs there, and LOG_STORE_URL is not set here", advice
                )
            return
        try:
            async with open_store(url) as store:
                found = await report(connection, store)
        except (Unavailable, TimeoutError) as fault:
            yield Finding(
                "fail",
                _SUBJECT,
                getattr(fault, "said", str(fault)) or "it takes too long",
                "Start it, or correct LOG_STORE_URL.",
            )
            return
        yield _judged(found)
        yield _lag(found)
    finally:
        await connection.close()


def _judged(found: StoreReport) -> Finding:
    wrong = found.version != found.wanted_version or not found.ready
    detail = f"{found.address}, version {found.version} of {found.wanted_version}" + (
        "" if found.on else ", not in use"
    )
    return judge(_SUBJECT, detail, fails=wrong, advice="Run: paid-endpoint migrate")


def _lag(found: StoreReport) -> Finding:
    oldest = found.waiting.oldest
    late = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    return judge(
        "log store lag",
        f"{found.waiting.rows} rows wait" + (f" since {late:.0f} s" if oldest else ""),
        warns=late > LATE_SECONDS,
        advice="The gateway's ingester sends them: look at its log, and at LOG_STORE_URL where it runs.",
    )

"""Checks of PostgreSQL and Redis: reached, right version, right configuration, right schema, right time."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import redis.asyncio
from redis.exceptions import RedisError

from cli.checkup.finding import Finding, judge
from cli.checkup.jobs import check_jobs
from cli.checkup.production import check_database_server
from cli.setting_rows import redact
from domain.audit_chain.standing import read_standing
from domain.entitlements import LATE_JOB
from domain.migrating import applied_migrations, known_migrations
from domain.partitions import AHEAD, partition_name, today
from domain.renewals import count_overdue
from domain.settings import Settings

OLDEST_POSTGRES = 150_000
SECONDS_APART_WARN, SECONDS_APART_FAIL = 1.0, 30.0
_PATIENCE = 5.0


async def check_postgres(settings: Settings) -> AsyncIterator[Finding]:
    """Reachability first; the rest only if it is reached."""
    url = settings.database.url.get_secret_value()
    try:
        connection = await asyncpg.connect(url, timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        advice = "Start it (`paid-endpoint up`), or correct DATABASE_URL."
        yield Finding("fail", "postgres", f"{redact(url)}: {error or type(error).__name__}", advice)
        return
    try:
        number = int(await connection.fetchval("show server_version_num"))
        text = await connection.fetchval("show server_version")
        old = number < OLDEST_POSTGRES
        yield judge("postgres", f"{redact(url)}, version {text}", fails=old, advice="Use PostgreSQL 15 or newer.")
        for finding in await check_database_server(connection, settings):
            yield finding
        yield await _check_schema(connection)
        yield await _check_partitions(connection)
        if await connection.fetchval("select to_regclass('api_key')"):
            yield await _check_peppers(connection, set(settings.keys.pepper_by_version))
        if await connection.fetchval("select to_regclass('plan_version')"):
            yield await _check_renewals(connection)
        if await connection.fetchval("select to_regclass('job_run')"):
            yield await check_jobs(connection)
        if await connection.fetchval("select to_regclass('audit_seal')"):
            yield await _check_audit(connection)
        before = time.time()
        theirs = float(await connection.fetchval("select extract(epoch from clock_timestamp())"))
        yield check_clock("clock of postgres", theirs, before, time.time())
    finally:
        await connection.close()


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Reachability first; the rest only if it is reached."""
    url = settings.redis.url.get_secret_value()
    try:
        async with redis.asyncio.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE) as client:
            information = await client.info("server")
            name = "Valkey" if "valkey_version" in information else "Redis"
            number = information.get("valkey_version", information["redis_version"])
            yield judge("redis", f"{redact(url)}, {name} {number}")
            yield await _check_redis_setting(
                client, "maxmemory-policy", "noeviction", "Set it: eviction loses limits and jobs.", fails=True
            )
            yield await _check_redis_setting(
                client, "appendonly", "yes", "Set it, or counts are lost when Redis restarts.", fails=False
            )
            yield await _check_append_only_file(client)
            before = time.time()
            seconds, microseconds = await client.time()
            yield check_clock("clock of redis", seconds + microseconds / 1e6, before, time.time())
    except (OSError, TimeoutError, ValueError, RedisError) as error:
        advice = "Start it (`paid-endpoint up`), or correct REDIS_URL."
        yield Finding("fail", "redis", f"{redact(url)}: {error or type(error).__name__}", advice)


def check_clock(subject: str, theirs: float, before: float, after: float) -> Finding:
    """How far a server's clock is from ours, at least: the time of asking is not held against it."""
    apart = max(before - theirs, theirs - after, 0.0)
    return judge(
        subject,
        f"{apart:.1f} s apart",
        fails=apart > SECONDS_APART_FAIL,
        warns=apart > SECONDS_APART_WARN,
        advice="Run a time service (chrony) on both machines.",
    )


async def _check_schema(connection: Any) -> Finding:
    known, applied = set(known_migrations()), await applied_migrations(connection)
    missing, newer = sorted(known - applied), sorted(applied - known)
    if newer:
        return Finding("fail", "schema", f"newer than this version: {newer[-1]}", "Run the newer version.")
    detail = f"{len(missing)} migrations missing" if missing else f"at head ({len(known)} migrations)"
    return judge("schema", detail, fails=bool(missing), advice="Run: paid-endpoint migrate")


async def _check_partitions(connection: Any) -> Finding:
    days = [today() + timedelta(days=ahead) for ahead in range(AHEAD + 1)]
    there = [await _has_partition(connection, day) for day in days]
    ahead = there.index(False) - 1 if False in there else AHEAD
    return judge(
        "partitions",
        f"request logs have room for today and {max(ahead, 0)} more days" if there[0] else "none for today",
        fails=not there[0],
        warns=ahead < 2,
        advice="Run `paid-endpoint jobs`, which makes them each hour, or: paid-endpoint migrate.",
    )


async def _check_peppers(connection: Any, known: set[int]) -> Finding:
    """Without its pepper a key is refused like an unknown one, so callers would be told that their keys are wrong."""
    lost = await connection.fetch(
        "select pepper_version as version, count(*) as keys from api_key where revoked_at is null"
        " and (expires_at is null or expires_at > now()) and pepper_version <> all($1) group by 1 order by 1",
        sorted(known),
    )
    detail = ", ".join(f"version {row['version']} of {row['keys']} keys is not in KEY_PEPPERS" for row in lost)
    return judge(
        "peppers of keys",
        detail or "all known",
        fails=bool(lost),
        advice="Put the lost pair back into KEY_PEPPERS; without it these keys are refused.",
    )


async def _check_renewals(connection: Any) -> Finding:
    overdue = await count_overdue(connection, datetime.now(UTC) - LATE_JOB)
    return judge(
        "renewals",
        f"{overdue} subscriptions wait for what was due an hour ago" if overdue else "nothing is overdue",
        fails=False,
        warns=overdue > 0,
        advice="Run `paid-endpoint jobs`, or once: paid-endpoint subscriptions sweep",
    )


async def _check_audit(connection: Any) -> Finding:
    """The last link only; the whole chain is for `audit verify`."""
    found = await read_standing(connection)
    late = found.waiting_since is not None and datetime.now(UTC) - found.waiting_since > LATE_JOB
    if not found.sound:
        detail = f"the last link, at position {found.position}, is not what was sealed"
        return Finding("fail", "audit chain", detail, "Run: paid-endpoint audit verify")
    return judge(
        "audit chain",
        f"{found.position} entries sealed, {found.waiting} wait",
        warns=late,
        advice="Run `paid-endpoint jobs`, or once: paid-endpoint audit seal",
    )


async def _has_partition(connection: Any, day: date) -> bool:
    return await connection.fetchval("select to_regclass($1)", partition_name(day)) is not None


async def _check_redis_setting(client: Any, name: str, wanted: str, advice: str, *, fails: bool) -> Finding:
    try:
        found = (await client.config_get(name)).get(name, "")
    except RedisError:
        return Finding("warn", f"redis {name}", "cannot be asked here", f"Make sure that it is `{wanted}`.")
    wrong = found != wanted
    return judge(f"redis {name}", found, fails=wrong and fails, warns=wrong, advice=f"Wanted: {wanted}. {advice}")


async def _check_append_only_file(client: Any) -> Finding:
    said = await client.info("persistence")
    return judge(
        "redis writes",
        str(said.get("aof_last_write_status", "unknown")),
        fails=said.get("aof_last_write_status") == "err",
        advice="Its last write to the append-only file failed: look at its disk.",
    )

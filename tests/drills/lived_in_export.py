"""An export of a million rows from a portal of its own over a socket: its time, and the memory of the process meanwhile."""

import asyncio
import os
import sys
import time
from datetime import UTC, timedelta
from pathlib import Path

import asyncpg
import httpx2

from cli.supervisor.services import EmbeddedServices
from domain.identity.sessions import begin_session
from loadtests.processes import ROOT, Process, free_port
from tests.databases import PEPPERS
from tests.drills.lived_in_life import find_life
from tests.drills.lived_in_logs import SPAN
from tests.drills.outcome import Outcome
from tests.portals import SECRETS

GROWTH_MB = 30.0
"""How much more memory the process may take while it exports."""

BUSY = "select count(*) from pg_stat_activity where application_name = 'paid-endpoint portal' and state <> 'idle'"
LEFT_SECONDS = 3.0


async def drill_export(services: EmbeddedServices, folder: Path, wanted: int, rows: int) -> Outcome:
    """Export about `wanted` of the `rows`, in both formats, then leave one half-way."""
    connection = await asyncpg.connect(services.database_url)
    life = await find_life(connection)
    assert life is not None
    token = await begin_session(
        connection, life.owner_id, lasts=timedelta(days=1), address="127.0.0.1", user_agent="Drill"
    )
    newest = await connection.fetchval(
        "select max(at) from request_log where organization_id = $1", life.organization_id
    )
    since = (newest - SPAN * wanted / rows).astimezone(UTC)
    port = free_port()
    process = Process("portal", [sys.executable, "-m", "cli.main", "portal"], folder / "portal.log", env=_environment(services, port), cwd=ROOT)  # fmt: skip
    lines, broken = [], []
    with process.start(port):
        address = f"http://localhost:{port}"
        async with httpx2.AsyncClient(base_url=address, cookies={"pe_session": token.text}, timeout=60) as client:
            await client.get(f"/o/{life.slug}/logs")
            for file_format in ("csv", "jsonl"):
                path = f"/o/{life.slug}/logs/export?format={file_format}&from={since:%Y-%m-%dT%H:%M:%S.%fZ}"
                line, growth, count = await _take(client, path, process.pid, file_format)
                lines.append(line)
                if growth > GROWTH_MB:
                    broken.append(f"the process grew by {growth:.0f} MB during the export as {file_format}")
                if abs(count - wanted) > max(2, wanted // 100):
                    broken.append(f"{count} rows came, about {wanted} should have")
            await _leave(client, f"/o/{life.slug}/logs/export")
            seconds = await _quiet(connection)
            lines.append(("reader left", "", f"{seconds:.1f}", "", "", "", ""))
            if seconds > LEFT_SECONDS:
                broken.append("the database was still busy 3 s after the reader had left")
    await connection.close()
    head = ("export", "rows", "seconds", "MB", "first byte ms", "RSS before MB", "most MB")
    return Outcome(f"Export of {wanted:,} rows over a socket", head, lines, broken)


async def _take(
    client: httpx2.AsyncClient, path: str, pid: int, file_format: str
) -> tuple[tuple[str, ...], float, int]:
    before, most, count, size, first = _rss(pid), 0.0, 0, 0, 0.0
    began = sampled = time.perf_counter()
    async with client.stream("GET", path) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for part in answer.aiter_raw():
            first = first or time.perf_counter() - began
            count += part.count(b"\n")
            size += len(part)
            if time.perf_counter() - sampled > 0.1:
                most, sampled = max(most, _rss(pid)), time.perf_counter()
    seconds, most = time.perf_counter() - began, max(most, _rss(pid))
    count -= file_format == "csv"
    figures = (
        f"{count:,}",
        f"{seconds:.1f}",
        f"{size / 1e6:.0f}",
        f"{first * 1000:.0f}",
        f"{before:.1f}",
        f"{most:.1f}",
    )
    return (file_format, *figures), most - before, count


async def _leave(client: httpx2.AsyncClient, path: str) -> None:
    async with client.stream("GET", path) as answer:
        async for _ in answer.aiter_raw():
            return


async def _quiet(connection: asyncpg.Connection) -> float:
    """Seconds until no statement of the portal's runs, three times in a row."""
    began, quiet = time.perf_counter(), 0
    while quiet < 3 and time.perf_counter() - began < 2 * LEFT_SECONDS:
        quiet = 0 if await connection.fetchval(BUSY) else quiet + 1
        await asyncio.sleep(0.1)
    return time.perf_counter() - began


def _rss(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _environment(services: EmbeddedServices, port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "KEY_PEPPERS": PEPPERS,
        "SECRET_KEYS": SECRETS,
        "PORTAL_PORT": str(port),
        "PORT_OFFSET": "0",
        "PE_DATA_DIR": str(services.data_dir / "none"),
    }

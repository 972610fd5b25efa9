"""`python -m tests.drills.legacy`: 10,000 clients and 50,000 keys, one in twenty dirty, from a v1 database into ours.

A dry run, the import, a run that is killed in the middle and gone on with, a second run; old keys of each kind at our gateway
and at the older one, before and after. Times, totals and a line of the report of each kind are printed; `--keep FILE` keeps the
report. Promises: usable old keys are known a second after the import, others never, and the older gateway goes on; the dry run says what the import says; every row has one line; each usable key is stored with the
digest that its owner's text has; the older database is not touched; a second run changes nothing.
"""

import asyncio
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from cli.supervisor.services import EmbeddedServices
from domain import plans
from domain.limit_texts import parse_limits
from domain.migrating import ROOT, migrate
from tests.databases import PEPPERS
from tests.drills.legacy_keys import both_gateways, compared
from tests.drills.outcome import Outcome, arguments, tell
from tests.legacy import Old, digest_of_tables, older_installation

SAME = 24
"""Notes that begin with so many same letters are of one kind."""

# One in twenty rows is dirty, each kind in turn; n counts rows from 1.
FILL = """
insert into plans select 'plan-' || n, 'Plan ' || n, (n * 100)::text, (n * 1000)::text from generate_series(1, 8) n;
insert into plans values ('zero', 'Zero', '0', '10'), ('open', 'Open', null, '500'), ('nothing', 'Nothing', null, null);
insert into clients (client_id, name, email, status, created_at)
    select md5('c' || n)::uuid::text,
           case when n % 20 = 0 and d % 8 = 0 then '' when n % 20 = 0 and d % 8 = 1 then repeat('long ', 60)
                when n % 20 = 0 and d % 8 = 2 then E'Bell\\x07' || n else 'Firm ' || n % 4000 end,
           case when n % 20 = 0 and d % 8 = 3 then null when n % 20 = 0 and d % 8 = 4 then 'no address'
                when n % 20 = 0 and d % 8 = 5 then 'P' || n - 1 || '@Example.com' else 'p' || n || '@example.com' end,
           case when n % 20 = 0 and d % 8 = 6 then 'deleted' when n % 20 = 0 and d % 8 = 7 then 'odd' else 'active' end,
           '2024-01-01 00:00:00+00'
    from (select n, n / 20 as d from generate_series(1, {clients}) n) as numbered;
insert into api_keys (key_id, client_id, plan_id, key_hash, key_prefix, expires_at, status)
    select md5('k' || n)::uuid::text,
           case when n % 20 = 0 and d % 8 = 0 then md5('nobody' || n)::uuid::text
                else md5('c' || (1 + n % ({clients} - {clients} / 10)))::uuid::text end,
           case when n % 20 = 0 and d % 8 = 1 then 'gone' when n % 20 = 0 and d % 8 = 2 then 'zero' else 'plan-' || (1 + n % 8) end,
           case when n % 20 = 0 and d % 8 = 3 then 'no hash' when n % 20 = 0 and d % 8 = 4
                then encode(sha256(('sk_old_' || n - 1)::bytea), 'hex') else encode(sha256(('sk_old_' || n)::bytea), 'hex') end,
           'sk_old_', case when n % 20 = 0 and d % 8 = 5 then '2020-01-01 00:00:00+00' end,
           case when n % 20 = 0 and d % 8 = 6 then 'revoked' when n % 20 = 0 and d % 8 = 7 then 'paused' else 'active' end
    from (select n, n / 20 as d from generate_series(1, {keys}) n) as numbered;
insert into request_logs (log_id) select n from generate_series(1, {keys}) n;
insert into log_summaries (key_id, day) select md5('k' || n)::uuid::text, current_date from generate_series(1, {keys}) n;
"""


class Scene:
    """The older database and one of ours; `folder` has the reports."""

    def __init__(self, old: Old, url: str, folder: Path) -> None:
        self.old, self.url, self.folder = old, url, folder
        self.environment = {
            **os.environ, "DATABASE_URL": url, "KEY_PEPPERS": PEPPERS, "PYTHONPATH": str(ROOT), "PORTAL_SIGN_UP_PLAN": "free",
            "LEGACY_DATABASE_URL": old.url, "PE_DATA_DIR": str(folder / "none"),
        }  # fmt: skip

    def start(self, report: str, *options: str) -> subprocess.Popen[str]:
        """The command, as an operator starts it."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", "import-legacy", "--json", "--report", report, *options],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, report: str, *options: str) -> dict[str, Any]:
        """One import to its end."""
        output, errors = (process := self.start(report, *options)).communicate(timeout=900)
        assert process.returncode == 0, errors[-2000:]
        return dict(json.loads(output))

    def rows(self, report: str) -> list[dict[str, str]]:
        """The lines of a report."""
        return list(csv.DictReader(io.StringIO((self.folder / report).read_text())))


async def drill(server_url: str, redis_url: str, folder: Path, clients: int) -> Outcome:
    """All of it on the server of `server_url`."""
    lines: list[tuple[str, ...]] = []
    broken: list[str] = []
    async with older_installation(server_url, strict=False) as old:
        await old.connection.execute(FILL.format(clients=clients, keys=clients * 5))
        before = await old.digest()
        scenes = [Scene(old, await _database(server_url, f"drill_{n}"), folder) for n in range(2)]
        dry = scenes[0].run("dry.csv", "--dry-run")
        coming = [row["old_id"] for row in scenes[0].rows("dry.csv") if row["outcome"] == "imported"]
        async with both_gateways(old, scenes[0].url, redis_url) as keys:
            await keys.choose(clients * 5, coming)
            asked = await keys.ask()
            done = await asyncio.to_thread(scenes[0].run, "done.csv")
            told, unkept = await compared(keys, asked)
        broken += unkept
        lines += [*told, ("dry run", f"{dry['seconds']} s"), ("import", f"{done['seconds']} s")]
        lines += [
            (f"{t['table']}: {t['outcome']}{': ' + t['note'] if t['note'] else ''}", str(t["rows"]))
            for t in done["totals"]
        ]
        if dry["totals"] != done["totals"] or scenes[0].rows("dry.csv") != scenes[0].rows("done.csv"):
            broken.append("the dry run says something else than the import")
        lines += [
            (f"report: {row['table']} {row['old_id']}", f"{row['outcome']}: {row['notes']}")
            for row in _samples(scenes[0])
        ]
        broken += await _check_rows(scenes[0], clients)
        broken += await _check_again(scenes[0], lines)
        broken += await _check_killed(scenes, clients, lines)
        if await old.digest() != before:
            broken.append("the older database was changed")
    return Outcome(f"legacy: {clients} clients, {clients * 5} keys", ("what", "figure"), lines, broken)


def _samples(scene: Scene) -> list[dict[str, str]]:
    """The first line of the report of each kind that has a note."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in scene.rows("done.csv"):
        if row["notes"]:
            found.setdefault((row["table"], row["outcome"], row["notes"][:SAME]), row)
    return list(found.values())


async def _database(server_url: str, name: str) -> str:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"drop database if exists {name} with (force)")
    await connection.execute(f"create database {name}")
    await connection.close()
    url = f"{server_url.rpartition('/')[0]}/{name}"
    await migrate(url)
    connection = await asyncpg.connect(url)
    await plans.create(connection, slug="free", limits=parse_limits(["1000/hour"]))
    await connection.close()
    return url


async def _check_rows(scene: Scene, clients: int) -> list[str]:
    """Each row has one line, and each key that was imported the digest of its owner's text."""
    broken, rows = [], scene.rows("done.csv")
    counted = Counter(row["table"] for row in rows)
    if counted != {"plans": 11, "clients": clients, "api_keys": clients * 5}:
        broken.append(f"the report has other rows than the older database: {dict(counted)}")
    imported = {row["old_id"] for row in rows if row["table"] == "api_keys" and row["outcome"] == "imported"}
    connection = await asyncpg.connect(scene.url)
    stored = {str(row["id"]): row["digest"] for row in await connection.fetch("select id, digest from api_key")}
    without = await connection.fetchval(
        "select count(*) from organization o where not exists (select from subscription s where s.organization_id = o.id)"
        " or not exists (select from audit_entry a where a.organization_id = o.id and a.verb = 'organization.import')"
    )
    await connection.close()
    if set(stored) != imported:
        broken.append(f"{len(stored)} keys are stored, {len(imported)} are told of")
    if without:
        broken.append(f"{without} organizations have no subscription or no entry in the audit")
    texts = await scene.old.connection.fetch(
        "select md5('k' || n)::uuid::text as id, 'sk_old_' || n as text from generate_series(1, $1) n", clients * 5
    )
    wrong = sum(sha256(row["text"].encode()).digest() != stored.get(row["id"]) for row in texts if row["id"] in stored)
    # A dirty row may hold the hash of the key before it, of which one of the two is kept.
    return [*broken, *([f"{wrong} keys have another digest than their text"] if wrong > clients * 5 / 160 else [])]


async def _check_again(scene: Scene, lines: list[tuple[str, ...]]) -> list[str]:
    connection = await asyncpg.connect(scene.url)
    stored = await digest_of_tables(connection)
    again = scene.run("again.csv")
    changed = [table for table, digest in (await digest_of_tables(connection)).items() if digest != stored[table]]
    await connection.close()
    lines.append(("second run", f"{again['seconds']} s"))
    new = [row for row in scene.rows("again.csv") if row["outcome"] in {"imported", "changed since"}]
    return [f"a second run changed {changed}"] * bool(changed) + [f"a second run imported {len(new)} rows"] * bool(new)


async def _check_killed(scenes: list[Scene], clients: int, lines: list[tuple[str, ...]]) -> list[str]:
    """Killed at a quarter, a half and three quarters, then to the end: the same as undisturbed."""
    connections = [await asyncpg.connect(scene.url) for scene in scenes]
    kills = 0
    for quarter in (1, 2, 3):
        process = scenes[1].start("killed.csv")
        while await connections[1].fetchval("select count(*) from organization") < clients * quarter // 4:
            if process.poll() is not None:
                break
            await asyncio.sleep(0.01)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL) if process.poll() is None else None
        process.communicate()
    begin = time.monotonic()
    scenes[1].run("resumed.csv")
    lines += [("kills in the middle", str(kills)), ("the rest after them", f"{time.monotonic() - begin:.1f} s")]
    standing = (
        "select md5(string_agg(row::text, '|' order by row::text)) from (select o.id, o.slug, o.state, p.slug, u.email,"
        " (select array_agg(k.id order by k.id) from api_key k where k.organization_id = o.id) from organization o"
        " left join membership m on m.organization_id = o.id left join users u on u.id = m.user_id"
        " left join subscription s on s.organization_id = o.id left join plan p on p.id = s.plan_id) row"
    )
    ends = [await connection.fetchval(standing) for connection in connections]
    for connection in connections:
        await connection.close()
    return (["it was not killed three times"] if kills < 3 else []) + (
        ["killed, it ends otherwise"] if len(set(ends)) > 1 else []
    )


def main() -> int:
    """See the module."""
    parser = arguments("legacy", __doc__ or "")
    parser.add_argument("--clients", type=int, default=10_000, choices=range(400, 100_001), metavar="400..100000")
    parser.add_argument("--keep", metavar="FILE", type=Path, help="keep the report of the import")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="paid-endpoint-legacy-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account that root lends to PostgreSQL passes through
        with EmbeddedServices(folder / "services") as servers:
            outcome = asyncio.run(drill(servers.database_url, servers.redis_url, folder, options.clients))
            if options.keep:
                shutil.copyfile(folder / "done.csv", options.keep)
            return tell([outcome], options)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.drills.restore_day [--rows 1000000]`: backup under traffic, the servers destroyed, everything back.

An installation of its own with so many request logs on three days, each charged, and a gateway with two workers that four
callers use. `paid-endpoint backup` runs meanwhile. Then gateway, PostgreSQL and Valkey are killed by SIGKILL and their folders
deleted; only the file and the gateway's disk (its journals) are left. `restore` into fresh servers, `doctor`, `credits
reconcile`, `audit verify`, and the gateway again, on its journals. Promises: every answer that a caller saw is stored once,
those after the backup too; the ledger adds up, before and after the journals were read; the key of before works; doctor finds
nothing that fails. Times, sizes and rows a second are printed.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.supervisor.services import EmbeddedServices
from domain import operations
from domain.credits.granting import grant
from domain.migrating import migrate
from domain.partitions import ensure_partitions
from domain.settings import KeySettings
from tests.backups import Load, Ran, command, ordinary_database
from tests.drills.log_days_traffic import SLICES, Traffic
from tests.drills.outcome import Outcome, arguments, tell
from tests.gateways import RunningGateway, Tenant, connected, make_service, make_tenant
from tests.wire.upstream import RecordingUpstream

DAYS = 3
PRICE_MICRO, GRANTED_MICRO = 1_000, 10**12
LOADED_SECONDS, DRAINED_SECONDS, STARTED_SECONDS = 3.0, 120.0, 120.0
DATABASE = "restore_day"


class Drill:
    """`lines` and `broken` of what was seen. Secrets are of this run; `state` is the gateway's disk."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows, self.state = folder, rows, folder / "gateway"
        self.secrets = {
            "KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
            "SECRET_KEYS": f"1:{secrets.token_hex(32)}",
            "PE_DATA_DIR": str(folder / "none"),
        }
        self.file = folder / "backup.zip"
        self.lines: list[tuple[str, ...]] = []
        self.broken: list[str] = []
        self.tenant: Tenant
        self.answered: set[str] = set()

    async def fill(self, url: str, upstream_port: int) -> None:
        """Days of charged logs of one customer, and a priced service."""
        await migrate(url)
        first = datetime.combine(datetime.now(UTC).date() - timedelta(days=DAYS), datetime.min.time(), UTC)
        async with connected(url) as connection:
            settings = KeySettings(peppers=self.secrets["KEY_PEPPERS"])  # type: ignore[arg-type]
            self.tenant = await make_tenant(connection, "payer", settings=settings)
            owner = self.tenant.organization_id
            await grant(connection, owner, amount_micro=GRANTED_MICRO, reason="for the drill")
            await make_service(connection, "paid", "/paid", upstream_port)
            await operations.create(
                connection, service_slug="paid", method="*", path_pattern="/*", name="any", price_micro=PRICE_MICRO
            )
            await ensure_partitions(connection, first.date(), first.date() + timedelta(days=DAYS))
        traffic = Traffic(url, first, DAYS, self.rows // DAYS, [owner], [self.tenant.key_id], ahead=DAYS * SLICES)
        await traffic.run()
        self._note("filled", f"{self.rows // DAYS * DAYS:,} request logs of {DAYS} days in {traffic.seconds:.1f} s")

    async def before(self, url: str, redis_url: str) -> None:
        """Traffic, a backup in its middle, and the end of everything by SIGKILL."""
        gateway = self._gateway(url, redis_url, 2)
        await gateway.start(STARTED_SECONDS)
        try:
            answer = await gateway.ask(gateway.request("/paid/before", self.tenant.key))
            self._note("the key before", f"{answer.status}")
            async with Load(gateway, self.tenant) as load:
                await asyncio.sleep(LOADED_SECONDS)
                begun, seen = time.monotonic(), len(load.answered)
                made = await self._ran(url, "backup", str(self.file), "--json")
                took, during = time.monotonic() - begun, len(load.answered) - seen
                await asyncio.sleep(LOADED_SECONDS)
                os.killpg(gateway.pid, signal.SIGKILL)
            self.answered = load.answered | set(answer.values("x-request-id"))
            saved = json.loads(made.out)
            size, rate = saved["bytes"] / 1e6, saved["rows"] / took
            self._note(
                "backup",
                f"{saved['rows']:,} rows, {size:.1f} MB, {took:.1f} s, {rate:,.0f} rows/s; audited {saved['audited']}",
            )
            self._note(
                "traffic meanwhile",
                f"{during} answers while it ran ({during / took:.0f}/s), {len(self.answered):,} in all",
            )
        finally:
            await gateway.stop()
            gateway.forget()

    async def after(self, url: str, redis_url: str) -> None:
        """Restore, look, and let the gateway read its journals."""
        begun = time.monotonic()
        restored = json.loads((await self._ran(url, "restore", str(self.file), "--json")).out)
        took = time.monotonic() - begun
        self._note("restore", f"{restored['rows']:,} rows, {took:.1f} s, {restored['rows'] / took:,.0f} rows/s")
        if restored["drifts"] or restored["left_out"]:
            self.broken.append(f"restored with drifts {restored['drifts'][:3]}, without {restored['left_out']}")
        there = await self._stored(url)
        self._note("answers in it", f"{len(there & self.answered):,} of {len(self.answered):,} that callers saw")
        if not there < self.answered:
            self.broken.append("the backup is not older than the end of the traffic: this shows nothing")
        await self._look(url, redis_url, "restored")
        gateway, begun = self._gateway(url, redis_url, 2), time.monotonic()
        await gateway.start(STARTED_SECONDS)
        self._note("the gateway is ready again", f"{time.monotonic() - begun:.1f} s after its start")
        try:
            answer = await gateway.ask(gateway.request("/paid/after", self.tenant.key))
            self._note("the same key after", f"{answer.status}")
            if answer.status != 200:
                self.broken.append(f"the key is answered with {answer.status}")
            self.answered |= set(answer.values("x-request-id"))
            begun = time.monotonic()
            while (
                not self.answered <= (there := await self._stored(url)) and time.monotonic() - begun < DRAINED_SECONDS
            ):
                await asyncio.sleep(0.2)
            self._note(
                "after the journals",
                f"{len(there & self.answered):,} of {len(self.answered):,}, in {time.monotonic() - begun:.1f} s",
            )
            if missing := self.answered - there:
                self.broken.append(f"{len(missing)} answers are not stored")
            await self._look(url, redis_url, "with its journals")
        finally:
            await gateway.stop()
            gateway.forget()

    async def _look(self, url: str, redis_url: str, when: str) -> None:
        doctor = await self._tried(url, "doctor", "--json", REDIS_URL=redis_url)
        failing = [one["subject"] for one in json.loads(doctor.out) if one["status"] == "fail"]
        ledger = json.loads((await self._tried(url, "credits", "reconcile", "--json")).out)
        audit = json.loads((await self._tried(url, "audit", "verify", "--json")).out)
        self._note(
            f"{when}: doctor, ledger, audit",
            f"{len(failing)} fail; {len(ledger['drifts'])} drifts of {ledger['entries']:,} entries;"
            f" {audit['verified']} links, {'sound' if audit['sound'] else 'broken'}",
        )
        if failing or ledger["drifts"] or not audit["sound"]:
            self.broken.append(
                f"{when}: doctor {failing}, drifts {ledger['drifts'][:3]}, audit sound: {audit['sound']}"
            )

    async def _stored(self, url: str) -> set[str]:
        """Ids of the requests that callers made, each once. Raises AssertionError for one that stands twice."""
        async with connected(url) as connection:
            rows = await connection.fetch("select id from request_log where path like '/paid/%'")
        found = [str(row["id"]) for row in rows]
        assert len(found) == len(set(found)), "a request is stored twice"
        return set(found)

    def _gateway(self, url: str, redis_url: str, workers: int) -> RunningGateway:
        return RunningGateway(url, redis_url, workers, **{**self.secrets, "GATEWAY_STATE_DIR": str(self.state)})

    async def _ran(self, url: str, *arguments: str, **environment: str) -> Ran:
        done = await self._tried(url, *arguments, **environment)
        assert done.status == 0, done.err
        return done

    async def _tried(self, url: str, *arguments: str, **environment: str) -> Ran:
        return await command(url, *arguments, **{**self.secrets, **environment})

    def _note(self, what: str, figure: str) -> None:
        self.lines.append((what, figure))


async def create(server_url: str) -> str:
    """DSN of an empty database whose owner is no superuser, on a server that will not live to see it dropped."""
    async with connected(server_url) as connection:
        await connection.execute(f"create role {DATABASE} login password '{DATABASE}'")
        await connection.execute(f"create database {DATABASE} owner {DATABASE}")
    place = server_url.rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://{DATABASE}:{DATABASE}@{place}/{DATABASE}"


def destroy(services: EmbeddedServices, folder: Path) -> int:
    """Kill both servers and delete what they had; bytes that are gone."""
    services.postgres.kill()
    services.valkey.kill()
    size = 0
    for file in folder.rglob("*"):
        with suppress(
            FileNotFoundError
        ):  # backends of the killed server end a moment later, and take their temporary files
            size += file.lstat().st_size if file.is_file() and not file.is_symlink() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return size


async def drill(folder: Path, rows: int) -> Outcome:
    """All of it in `folder`, whose servers are its own."""
    made = Drill(folder, rows)
    upstream = RecordingUpstream().start()
    try:
        old = EmbeddedServices(folder / "old")
        with old:
            url = await create(old.database_url)
            await made.fill(url, upstream.port)
            await made.before(url, old.redis_url)
            gone = destroy(old, folder / "old")
        made.lines.append(("destroyed", f"PostgreSQL, Valkey and the gateway by SIGKILL; {gone / 1e6:,.0f} MB deleted"))
        with EmbeddedServices(folder / "new") as new:
            async with ordinary_database(new.database_url, DATABASE) as url:
                await made.after(url, new.redis_url)
    finally:
        upstream.stop()
    return Outcome(f"backup, destroy, restore: {rows:,} rows", ("what", "figures"), made.lines, made.broken)


def main() -> int:
    """See the module."""
    parser = arguments("restore_day", __doc__ or "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="request logs before the traffic")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="paid-endpoint-restore-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account that root lends to PostgreSQL passes through
        return tell([asyncio.run(drill(folder, options.rows))], options)


if __name__ == "__main__":
    sys.exit(main())

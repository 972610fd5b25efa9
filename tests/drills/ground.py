"""Where a storm rages: a whole installation of its own, every part of which may be killed and comes back as before.

PostgreSQL with fsync on, Valkey with its append-only file, the gateway with two workers and this node's ingester, an
upstream, and callers of several organizations. Use it from the main thread (the servers' processes end with it).
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import asyncpg

from cli.supervisor.ports import free_port
from cli.supervisor.services import EmbeddedServices
from domain import keys, organizations, plans, services
from domain.key_format import mint
from domain.limit_texts import parse_limits
from domain.migrating import migrate
from loadtests.processes import ROOT, Process, listens
from tests.drills.audit import WORKERS
from tests.drills.storm_callers import Party
from tests.drills.storm_money import cashier, furnish_money
from tests.gateways import PEPPERS, key_settings

HOURLY = 400
PREFIX = "/storm"
ROOMY = ["1000000000/second", "1000000000/minute", "1000000000/hour", "1000000000/day"]
PLANS = {
    "roomy": ROOMY,
    "hourly": [f"{HOURLY}/hour", "100000/day"],
    "steady": ["1000000/hour", "15/second"],
}
CAST = [
    *((party, "get", 0.06) for party in (0, 0, 1, 1)),
    *((party, kind, pause) for party in (0, 1) for kind, pause in (
        ("post", 0.08), ("fresh", 0.12), ("head", 0.3), ("events", 0.1), ("events", 0.1),
        ("upload", 0.6), ("download", 0.5), ("leaver", 0.15), ("leaver", 0.2),
    )),
    *((2, "get", 0.12), (2, "post", 0.15)),
    *((3, "get", 0.05), (3, "fresh", 0.1)),
    *((4, "get", 0.2), (5, "fresh", 0.25)),
    *((6, "get", 0.05), (6, "post", 0.1), (6, "events", 0.3)),
]  # fmt: skip
"""Callers: the party's number, the kind of request, the pause. Parties 4 and 5 have a revoked and an unknown key, party 6
has few credits."""

START_SECONDS = 40.0
T = TypeVar("T")


class Ground:
    """One installation. `folder` holds the evidence and every log."""

    def __init__(self, folder: Path, servers: EmbeddedServices, seed: int, settings: dict[str, str]) -> None:
        self.folder, self.servers, self.seed = folder, servers, seed
        self.database_url = f"{servers.database_url.rpartition('/')[0]}/storm"
        self.redis_url = servers.redis_url
        self.port, self.internal_port, self.upstream_port = (free_port() for _ in range(3))
        self.state_folder = folder / "state"
        self.settings = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "KEY_PEPPERS": PEPPERS,
            "KEY_BAD_KEY_LIMIT_PER_MINUTE": "100000",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_INTERNAL_PORT": str(self.internal_port),
            "GATEWAY_WORKERS": str(WORKERS),
            "GATEWAY_STATE_DIR": str(self.state_folder),
            "UPSTREAM_KEEPALIVE_SECONDS": "2",
            "PE_DATA_DIR": str(folder / "no-instance"),
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.parties: list[Party] = []
        self.limits: dict[str, int] = {}
        self.gateway: subprocess.Popen[bytes] | None = None
        self.reserved = True
        """Whether uploads reserve their price: that is asked of the database for each of them."""
        self.wrapping: list[str] = []
        """Words before the gateway's command line, to run it in a namespace of its own, say."""

    # -- the database, from the drill's own side

    def ask(self, query: str, *values: Any) -> list[Any]:
        """Rows of a query on a connection of its own. Raises what asyncpg raises."""

        async def fetch(connection: Any) -> list[Any]:
            return list(await connection.fetch(query, *values))

        return self.with_database(fetch)

    def with_database(self, act: Callable[[Any], Any]) -> Any:
        """Run a coroutine function with a connection."""

        async def run() -> Any:
            connection = await asyncpg.connect(self.database_url, timeout=10)
            try:
                return await act(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    # -- making it

    def furnish(self) -> None:
        """Migrate, and make the parties: two with room, one with few requests an hour, one with few a second."""

        async def create() -> None:
            connection = await asyncpg.connect(self.servers.database_url)
            await connection.execute("create database storm")
            await connection.close()
            await migrate(self.database_url)

        asyncio.run(create())
        self.with_database(self._furnish)
        (self.folder / "limits.json").write_text(json.dumps(self.limits))

    async def _furnish(self, connection: Any) -> None:
        for slug, limits in PLANS.items():
            await plans.create(connection, slug=slug, limits=parse_limits(limits))
        await services.create(
            connection, slug="storm", prefix=PREFIX, upstreams=[f"http://127.0.0.1:{self.upstream_port}"],
            connect_timeout_ms=2_000, first_byte_timeout_ms=8_000, idle_timeout_ms=8_000, total_timeout_ms=20_000,
        )  # fmt: skip
        owners, poor = [], None
        for number, plan in enumerate(("roomy", "roomy", "hourly", "steady", "roomy")):
            made = await organizations.create(connection, name=f"Party {number}", plan_slug=plan)
            created = await keys.create(connection, key_settings(), organization_id=made.id, name="storm")
            owners.append(made.id)
            if number == 4:
                poor = Party(made.slug, created.plaintext, "live")
                continue
            self.parties.append(Party(made.slug, created.plaintext, "live"))
            if plan == "hourly":
                self.limits[made.slug] = HOURLY
            if number == 0:
                gone = await keys.create(connection, key_settings(), organization_id=made.id, name="revoked")
                await keys.revoke(connection, gone.record.id, organization_id=made.id)
                revoked = Party(made.slug, gone.plaintext, "revoked")
        assert poor is not None
        self.parties += [revoked, Party("", mint("live").plaintext, "unknown"), poor]
        await furnish_money(connection, "storm", owners, owners[-1], reserved=self.reserved)

    # -- processes

    def start_gateway(self) -> None:
        """Start the supervisor and wait until the port is listened on. Workers of one that was killed hold the port
        until they have drained; who starts it again tries until it is free.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            with (self.folder / "gateway.log").open("ab") as log:
                self.gateway = subprocess.Popen(
                    [*self.wrapping, sys.executable, "-m", "cli.main", "gateway"],
                    cwd=self.folder, env={**os.environ, **self.settings}, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            while self.gateway.poll() is None:
                if self.workers() and listens(self.port):
                    return
                time.sleep(0.02)
            if time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not start; its log ends:\n{self.log_end('gateway')}")
            time.sleep(0.1)

    def stop_gateway(self, seconds: float = 30.0) -> int:
        """SIGTERM and wait: the exit status. What does not end is killed."""
        process, self.gateway = self.gateway, None
        if process is None:
            return 0
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def children(self) -> dict[int, str]:
        """The supervisor's children that live: process id and command line."""
        if self.gateway is None:
            return {}
        with contextlib.suppress(OSError):
            pids = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split()
            return {int(pid): words for pid in pids if (words := command_line(int(pid)))}
        return {}

    @property
    def supervisor(self) -> int:
        """Process id of the gateway's first process, behind what it is wrapped in."""
        assert self.gateway is not None
        return self.gateway.pid

    def workers(self) -> list[int]:
        """Process ids of workers."""
        return [pid for pid, words in self.children().items() if "gateway.server.worker" in words]

    def ingesters(self) -> list[int]:
        """Process ids of ingesters."""
        return [pid for pid, words in self.children().items() if "ingester" in words]

    def until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until all workers are there and every part of the gateway is well. Raises RuntimeError."""
        from loadtests.installation import _is_ready

        deadline, good = time.monotonic() + seconds, 0
        while good < 2 * WORKERS:
            good = good + 1 if len(self.workers()) == WORKERS and _is_ready(self.port) else 0
            if time.monotonic() > deadline:
                raise RuntimeError(f"the gateway is not ready; its log ends:\n{self.log_end('gateway')}")
            time.sleep(0.05)

    def log_end(self, name: str, characters: int = 3_000) -> str:
        """The end of a process's log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""

    @contextmanager
    def upstream(self) -> Iterator[Process]:
        """The upstream, which nobody kills."""
        argv = [sys.executable, "-m", "tests.drills.storm_upstream", str(self.upstream_port), str(self.folder)]
        with self._process("upstream", argv).start(self.upstream_port) as process:
            yield process

    @contextmanager
    def callers(self, run: str, cast: list[Any] | None = None) -> Iterator[Process]:
        """The load, from the beginning of the block to its end; `run` begins every serial."""
        orders = self.folder / f"orders-{run}.json"
        given = {
            "run": run, "seed": self.seed, "url": f"http://127.0.0.1:{self.port}{PREFIX}",
            "parties": [asdict(party) for party in self.parties], "cast": cast or CAST,
        }  # fmt: skip
        orders.write_text(json.dumps(given))
        process = self._process("callers", [sys.executable, "-m", "tests.drills.storm_callers", str(orders)]).start()
        try:
            yield process
        finally:
            process.stop(seconds=60)

    def cashier(self) -> AbstractContextManager[None]:
        """Grants and refunds meanwhile."""
        rich = [party.organization for party in self.parties[:2]]
        return cashier(self.database_url, self.folder, self.seed, rich, self.parties[6].organization)

    def _process(self, name: str, argv: list[str]) -> Process:
        return Process(name, argv, self.folder / f"{name}.log", env={"PYTHONPATH": str(ROOT)}, cwd=self.folder)


def command_line(pid: int) -> str:
    """What a process was started with; empty if it is gone or dead."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


@contextmanager
def ground(
    seed: int, keep: Path | None = None, wrapping: list[str] | None = None, *, reserved: bool = True, **settings: str
) -> Iterator[Ground]:
    """All of it, running and ready; nothing of it afterwards, but the evidence and the logs where `keep` is given."""
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(TemporaryDirectory(prefix="paid-endpoint-storm-")))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the account that root lends to PostgreSQL passes through
        servers = stack.enter_context(EmbeddedServices(folder / "services", "dev"))
        made = Ground(folder, servers, seed, settings)
        made.wrapping, made.reserved = wrapping or [], reserved
        made.furnish()
        stack.enter_context(made.upstream())
        stack.callback(made.stop_gateway)
        made.start_gateway()
        made.until_ready()
        yield made

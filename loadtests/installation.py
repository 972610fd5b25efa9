"""A whole throw-away installation: migrated database, a customer, a service, a gateway; set up as an operator would.

It goes through the command line only, so it breaks when a form that scripts rely on changes. It uses nothing of
`.data` or `.env`: every process runs in the measurement's own folder with its own settings.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtests.databases import Databases, throwaway_databases
from loadtests.processes import ROOT, Process, ProcessFailedError, children, free_port, ingester_pids, move

ROOMY = ("1000000000/second", "1000000000/minute", "1000000000/hour", "1000000000/day")
"""Windows that count every request and refuse none."""


FULL = (
    "1000000000/second",
    "1000000000/minute",
    "1000000000/hour per key",
    "1000000000/day per key",
    "1000000 concurrent",
)
"""The same, on the organization and on the key, with a cap on requests in progress."""


class CommandError(RuntimeError):
    """A command of ours failed; the message has its last words."""


class Installation:
    """One installation. `settings` are environment variables that every process of it gets."""

    def __init__(self, folder: Path, databases: Databases) -> None:
        self.folder = folder
        self.databases = databases
        self.settings = {
            "DATABASE_URL": databases.database_url,
            "REDIS_URL": databases.redis_url,
            "KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_INTERNAL_PORT": "0",
            "GATEWAY_STATE_DIR": str(folder / "state"),
            "PYTHONPATH": str(ROOT),
        }

    @property
    def journals(self) -> Path:
        """Where the workers of its gateways keep their journals."""
        return self.folder / "state" / "journal"

    def command(self, *arguments: str) -> Any:
        """Run `paid-endpoint ARGUMENTS` and return what it prints as JSON, None if that is nothing."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=self.folder, env={**os.environ, **self.settings}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            words = (done.stderr or done.stdout)[-1500:]
            raise CommandError(f"paid-endpoint {' '.join(arguments)}: exit status {done.returncode}\n{words}")
        return json.loads(done.stdout) if "--json" in arguments and done.stdout.strip() else None

    def plan(self, slug: str, limits: Sequence[str] = ROOMY) -> None:
        """Make a plan; each limit as in `1000/hour`."""
        options = [option for limit in limits for option in ("--limit", limit)]
        self.command("plans", "create", slug, *options, "--json")

    def roomy_plan(self, slug: str) -> tuple[str, ...]:
        """Make a plan that limits in every way and refuses nothing; its limits."""
        self.plan(slug, FULL)
        return FULL

    def organization(self, name: str, plan: str) -> dict[str, str]:
        """Make a customer on a plan: its `id` and `slug`."""
        return dict(self.command("organizations", "create", "--name", name, "--plan", plan, "--json"))

    def key(self, organization: str, name: str, *options: str) -> dict[str, str]:
        """Mint a key for an organization's slug: its `id` and the plaintext `key`."""
        return dict(self.command("keys", "create", "--organization", organization, "--name", name, *options, "--json"))

    def service(self, slug: str, prefix: str, *upstreams: str) -> None:
        """Sell what is at `upstreams` under `prefix`."""
        options = [option for upstream in upstreams for option in ("--upstream", upstream)]
        self.command("services", "create", slug, "--prefix", prefix, *options, "--json")

    def gateway(self, *, workers: int, core: int | None = None, env: Mapping[str, str] | None = None) -> "Gateway":
        """Start the gateway on a free port, and wait until it listens."""
        port = free_port()
        settings = {**self.settings, "GATEWAY_PORT": str(port), "GATEWAY_WORKERS": str(workers), **(env or {})}
        process = Process(
            "gateway", [sys.executable, "-m", "cli.main", "gateway"], self.folder / "gateway.log",
            core=core, env=settings, cwd=self.folder,
        )  # fmt: skip
        return Gateway(process.start(port), port, int(settings["GATEWAY_INTERNAL_PORT"]))

    def until_ready(self, gateway: "Gateway", seconds: float = 30.0) -> None:
        """Wait until `/ready` says 200. Raises ProcessFailedError."""
        deadline = time.monotonic() + seconds
        while not _is_ready(gateway.port):
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"the gateway is not ready; its log ends:\n{gateway.process.tail()}")
            time.sleep(0.1)

    def place_ingester(self, gateway: "Gateway", core: int | None) -> list[int]:
        """Move what stores the gateway's journals, and what makes spans of them, to `core`, off the workers' core; its
        process ids, often none.
        """
        pids = ingester_pids(gateway.process.pid) + children(gateway.process.pid, "gateway.tracer")
        if core is not None:
            for pid in pids:
                move(pid, core)
        return pids


class Gateway:
    """A running gateway of an installation; `internal_port` 0: it shows no metrics."""

    def __init__(self, process: Process, port: int, internal_port: int = 0) -> None:
        self.process = process
        self.port = port
        self.internal_port = internal_port
        self.url = f"http://127.0.0.1:{port}"


def _is_ready(port: int) -> bool:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def installation(*, durable: bool = False) -> Iterator[Installation]:
    """A migrated installation in a temporary folder; its databases end with the block, its processes are the caller's."""
    with TemporaryDirectory(prefix="paid-endpoint-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account that root lends to PostgreSQL passes through
        with throwaway_databases(folder, durable=durable) as databases:
            made = Installation(folder, databases)
            made.command("migrate")
            yield made

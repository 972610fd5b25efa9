"""The real gateway for tests: `paid-endpoint gateway` as a process of its own, on a furnished database.

async with running_gateway(database_url, redis_url, upstream.port, GATEWAY_MAX_BODY_BYTES="1000") as gateway: ...
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from domain import keys, organizations, plans, services
from domain.limit_texts import LimitSpec
from domain.settings import KeySettings
from tests.wire.answers import WireAnswer
from tests.wire.raw_client import RawClient

ROOT = Path(__file__).resolve().parent.parent
PEPPERS = "1:" + "5a" * 32
OUT_OF_REACH = 10**12
START_SECONDS = 60.0
"""Three processes that import the product, perhaps on a machine that does much else."""

STOP_SECONDS = 40.0


@dataclass(frozen=True)
class Tenant:
    """An organization on a plan whose limits nobody reaches, with one live key that is allowed everything."""

    organization_id: UUID
    slug: str
    key_id: UUID
    key: str


def key_settings() -> KeySettings:
    """The pepper that gateways of tests know."""
    return KeySettings(peppers=PEPPERS)  # type: ignore[arg-type]


async def make_tenant(
    connection: Any, slug: str, *, amount: int = OUT_OF_REACH, settings: KeySettings | None = None
) -> Tenant:
    """A new tenant with a plan of its own: `amount` requests an hour. Its key is under `settings`, or the tests' pepper."""
    await plans.create(connection, slug=f"plan-{slug}", limits=[LimitSpec("hour", amount, "hour")])
    organization = await organizations.create(connection, name=slug, plan_slug=f"plan-{slug}", slug=slug)
    created = await keys.create(
        connection, settings or key_settings(), organization_id=organization.id, name="test key"
    )
    return Tenant(organization.id, slug, created.record.id, created.plaintext)


async def make_service(
    connection: Any, slug: str, prefix: str, upstream_port: int, *, path: str = "", **columns: Any
) -> UUID:
    """A new service: `prefix` goes to the upstream, below its base `path`."""
    made = await services.create(
        connection, slug=slug, prefix=prefix, upstreams=[f"http://127.0.0.1:{upstream_port}{path}"], **columns
    )
    return made.id


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningGateway:
    """One gateway process (with its workers) in a process group and a working directory of its own."""

    def __init__(self, database_url: str, redis_url: str, workers: int = 1, **settings: str) -> None:
        self.address = ("127.0.0.1", free_port())
        self.internal_address = ("127.0.0.1", free_port())
        self.database_url = database_url
        self._directory = tempfile.TemporaryDirectory(prefix="paid-endpoint-gateway-")
        self.log_file = Path(self._directory.name) / "gateway.log"
        self.environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "KEY_PEPPERS": PEPPERS,
            "KEY_BAD_KEY_LIMIT_PER_MINUTE": "100000",
            "GATEWAY_PORT": str(self.address[1]),
            "GATEWAY_INTERNAL_PORT": str(self.internal_address[1]),
            "GATEWAY_WORKERS": str(workers),
            "GATEWAY_STATE_DIR": str(Path(self._directory.name) / "state"),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, seconds: float = START_SECONDS) -> None:
        """Start, and wait until `/ready` says 200. Raises RuntimeError with the log."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "gateway"],
                cwd=self._directory.name,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not await self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                await self.stop()
                raise RuntimeError(f"the gateway did not become ready:\n{self.log[-4000:]}")
            await asyncio.sleep(0.05)

    async def _is_ready(self) -> bool:
        try:
            return (await self.ask(self.request("/ready", ""))).status == 200
        except (OSError, LookupError):
            return False

    async def ask(self, raw: bytes, method: str = "GET", seconds: float = 10.0) -> WireAnswer:
        """Send bytes on a connection of their own and return the first final answer. Raises IndexError without one."""
        async with await RawClient.connect(self.address) as client:
            await client.send(raw)
            return (await client.answers(1, seconds, [method])).final[0]

    async def serves(self, prefix: str, seconds: float = 20.0) -> None:
        """Wait until a service that was just made is known: without a key it is 401, not 404. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while (await self.ask(self.request(prefix, ""))).status == 404:
                await asyncio.sleep(0.02)

    def request(self, target: str, key: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
        """An ordinary request with a key ('' for none), more header lines, and a body with its length."""
        head = [f"{method} {target} HTTP/1.1", f"Host: {self.address[0]}:{self.address[1]}"]
        head += [f"X-API-Key: {key}"] if key else []
        head += [*lines, *([f"Content-Length: {len(body)}"] if body else [])]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + body

    @property
    def pid(self) -> int:
        """Process id of the supervisor of the workers."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor process alone."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> int:
        """Stop in order; the exit status. What does not stop in time is killed."""
        process = self._process
        if process is None:
            return 0
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._process = None
        return process.wait()

    def forget(self) -> None:
        """Remove the working directory with the log."""
        self._directory.cleanup()

    @property
    def log(self) -> str:
        """Everything that the processes printed."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""


@contextlib.asynccontextmanager
async def running_gateway(
    database_url: str, redis_url: str, workers: int = 1, **settings: str
) -> AsyncIterator[RunningGateway]:
    """A gateway that is ready, and stopped in the end."""
    gateway = RunningGateway(database_url, redis_url, workers, **settings)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.stop()
        gateway.forget()


@contextlib.asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[Any]:
    """One database connection."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()

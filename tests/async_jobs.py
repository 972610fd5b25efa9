"""What tests and drills of asynchronous operations share: a shop with a gateway, a service that does jobs, and a customer.

The upstream is a real one on a socket: it records what it is sent and answers as it is told. Callbacks are signed by the
PyPI package of Standard Webhooks, which knows nothing of our own signing.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from standardwebhooks import Webhook

from domain import operations
from domain.async_jobs.callback_secrets import show_secret
from domain.credits.reconciling import reconcile
from domain.portal_settings import SecretSettings
from tests.gateways import PEPPERS, ROOT, RunningGateway, Tenant, make_service, make_tenant, running_gateway
from tests.integration.domain.credits.accounts import account, bonus, posted
from tests.wire.answers import WireAnswer
from tests.wire.upstream import Recorded, RecordingUpstream, Script

PREFIX = "/orders"
SECRET_KEYS = "1:" + "6b" * 32
CREDITS = 1_000_000
PRICE = 5 * CREDITS
TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 422 Unprocessable Content\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nno such"
_NUMBERS = count()


def secret_settings() -> SecretSettings:
    """The keys that gateways and dispatchers of these tests seal with."""
    return SecretSettings(keys=SECRET_KEYS)  # type: ignore[arg-type]


def behind(target: str) -> str:
    """A target as the upstream is asked for it."""
    return target.removeprefix(PREFIX)


@dataclass
class Sent:
    """One job as it came to the upstream."""

    record: Recorded

    @property
    def job_id(self) -> str:
        return self._first("x-pe-job-id")

    @property
    def callback_url(self) -> str:
        return self._first("x-pe-callback-url")

    def _first(self, name: str) -> str:
        assert self.record.request is not None
        return self.record.request.values(name)[0]


@dataclass
class JobShop:
    """One gateway and one upstream behind the service `work`."""

    gateway: RunningGateway
    upstream: RecordingUpstream
    pool: "asyncpg.Pool"
    database_url: str
    secret: str = ""

    async def customer(self, micro: int = 100 * CREDITS, **options: Any) -> "Customer":
        async with self.pool.acquire() as connection:
            tenant = await make_tenant(connection, f"customer-{next(_NUMBERS)}", **options)
            if micro:
                await posted(connection, bonus(tenant.organization_id, micro))
        return Customer(self, tenant)

    def sent(self, containing: str = "") -> list[Sent]:
        """Every whole request that the upstream has had so far."""
        return [Sent(record) for record in self.upstream.since(0, containing) if record.state == "whole"]

    async def drifts(self) -> list[Any]:
        """What the ledger's own proof finds wrong."""
        async with self.pool.acquire() as connection:
            return (await reconcile(connection)).drifts

    async def call_back(
        self, job_id: str, report: dict[str, Any] | None = None, *, secret: str | None = None, age_seconds: int = 0,
        body: bytes | None = None, message_id: str = "", **said: Any,
    ) -> WireAnswer:  # fmt: skip
        """Post a callback as the upstream does; with `secret` "" it is not signed."""
        sent = json.dumps({"job_id": job_id, **(report or {}), **said}).encode() if body is None else body
        lines = ["Content-Type: application/json"]
        secret = self.secret if secret is None else secret
        if secret:
            name, at = message_id or f"msg_{uuid4().hex}", int(time.time()) - age_seconds
            signed = Webhook(secret).sign(name, datetime.fromtimestamp(at, UTC), sent.decode())
            lines += [f"webhook-id: {name}", f"webhook-timestamp: {at}", f"webhook-signature: {signed}"]
        raw = self.gateway.request(f"/callbacks/jobs/{job_id}", "", *lines, method="POST", body=sent)
        return await self.gateway.ask(raw, "POST")


@dataclass
class Customer:
    """A tenant with credits that asks for jobs."""

    shop: JobShop
    tenant: Tenant

    @property
    def id(self) -> UUID:
        return self.tenant.organization_id

    def target(self, kind: str) -> str:
        """A path of its own, so that the upstream can be told what to do with it."""
        return f"{PREFIX}/{kind}-{self.tenant.slug}"

    async def ask(
        self, target: str, *lines: str, method: str = "GET", body: bytes = b"", key: str | None = None
    ) -> WireAnswer:
        key = self.tenant.key if key is None else key
        return await self.shop.gateway.ask(
            self.shop.gateway.request(target, key, *lines, method=method, body=body), method
        )

    async def start(self, kind: str = "job", *lines: str, body: bytes = b"{}") -> str:
        """A job's id, of a request that was answered 202."""
        answer = await self.ask(self.target(kind), *lines, method="POST", body=body)
        assert answer.status == 202, (answer.status, answer.body)
        return str(json.loads(answer.body)["id"])

    async def job(self, job_id: str) -> dict[str, Any]:
        answer = await self.ask(f"/user/jobs/{job_id}")
        assert answer.status == 200, (answer.status, answer.body)
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def until(self, job_id: str, status: str, seconds: float = 20.0) -> dict[str, Any]:
        """The job once it has this status."""
        deadline = time.monotonic() + seconds
        while (found := await self.job(job_id))["status"] != status:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)
        return found

    async def account(self) -> dict[str, int]:
        async with self.shop.pool.acquire() as connection:
            return await account(connection, self.id)

    async def money(self) -> tuple[int, int, int]:
        """Balance, reserved and used, in whole credits."""
        found = await self.account()
        return found["balance"] // CREDITS, found["reserved"] // CREDITS, found["usage"] // CREDITS


async def furnish(connection: Any, port: int, **columns: Any) -> str:
    """The service `work`, all of whose operations are asynchronous; the secret of its callbacks."""
    await make_service(
        connection, "work", PREFIX, port, connect_timeout_ms=1_000, first_byte_timeout_ms=5_000, **columns
    )
    for name, pattern, price, replays in (
        ("job", "/*", PRICE, False), ("free", "/free/*", 0, False), ("repeated", "/repeated/*", PRICE, True),
    ):  # fmt: skip
        await operations.create(
            connection, service_slug="work", method="*", path_pattern=pattern, name=name, price_micro=price,
            replays=replays, asynchronous=True,
        )  # fmt: skip
    await operations.create(
        connection, service_slug="work", method="*", path_pattern="/at-once/*", name="at once", price_micro=CREDITS
    )
    return (await show_secret(connection, secret_settings(), "work")).secret


@contextlib.asynccontextmanager
async def job_shop(
    database_url: str, redis_url: str, *, workers: int = 1, service: dict[str, Any] | None = None, **settings: str
) -> AsyncIterator[JobShop]:
    """A furnished shop that is open until the end of the block; whoever wants jobs sent runs a dispatcher."""
    upstream = RecordingUpstream().start()
    upstream.script("/", Script(TAKEN))
    try:
        async with asyncpg.create_pool(database_url, min_size=1, max_size=6) as pool:
            async with pool.acquire() as connection:
                secret = await furnish(connection, upstream.port, **(service or {}))
            async with running_gateway(
                database_url, redis_url, workers, SECRET_KEYS=SECRET_KEYS, **settings
            ) as gateway:
                yield JobShop(gateway, upstream, pool, database_url, secret)
    finally:
        upstream.stop()


class DispatcherProcess:
    """A dispatcher in a process of its own, that can be killed at any moment."""

    def __init__(self, shop: JobShop, **settings: str) -> None:
        host, port = shop.gateway.address
        self._environment = {
            "DATABASE_URL": shop.database_url, "SECRET_KEYS": SECRET_KEYS, "KEY_PEPPERS": PEPPERS,
            "ASYNC_CALLBACK_URL": f"http://{host}:{port}", **settings,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to send jobs."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.async_dispatching"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **self._environment},
            stdin=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def dispatching(shop: JobShop, number: int = 1, **settings: str):
    """So many dispatchers until the end of the block."""
    processes = [DispatcherProcess(shop, **settings) for _ in range(number)]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.kill()

"""What stands before an upstream in these tests: the gateway, with one more service for every upstream."""

import asyncio
import time
from dataclasses import dataclass
from uuid import uuid4

from loadtests.processes import worker_pids
from loadtests.raw_client import Address, once
from tests.gateways import RunningGateway, Tenant, connected, make_service

SERVED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upstream's root is found, and the key to ask with; `key` is empty for the upstream itself."""

    url: str
    key: str = ""

    @property
    def address(self) -> Address:
        """Host, port and the prefix of every path."""
        return Address.of(self.url)


class Front:
    """A running gateway with a customer on it."""

    def __init__(self, gateway: RunningGateway, tenant: Tenant) -> None:
        self.gateway = gateway
        self.tenant = tenant
        self._targets: dict[int, Target] = {}

    async def behind(self, upstream_port: int) -> Target:
        """Sell what listens on a port of 127.0.0.1, and wait until the gateway knows of it."""
        name = f"real-{uuid4().hex[:12]}"
        async with connected(self.gateway.database_url) as connection:
            await make_service(connection, name, f"/{name}", upstream_port)
        host, port = self.gateway.address
        target = Target(f"http://{host}:{port}/{name}", self.tenant.key)
        deadline = time.monotonic() + SERVED_SECONDS
        while (await once(target.address, target.key, "/")).header("content-type") == "application/problem+json":
            assert time.monotonic() < deadline, "a new service is not served"
            await asyncio.sleep(0.05)
        return target

    async def behind_once(self, upstream_port: int) -> Target:
        """As `behind`, but one and the same service for the same port."""
        if upstream_port not in self._targets:
            self._targets[upstream_port] = await self.behind(upstream_port)
        return self._targets[upstream_port]

    def worker_pid(self) -> int:
        """The one worker."""
        return worker_pids(self.gateway.pid)[0]

"""Where a drill plays: a customer, a stub upstream, and a gateway with two workers, all of them its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg

from domain import keys
from domain.settings import KeySettings
from loadtests.installation import Gateway, Installation
from loadtests.processes import free_port, worker_pids
from loadtests.raw_client import Address
from loadtests.upstream import start_upstream

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """`address` is the upstream's root through the gateway."""

    made: Installation
    gateway: Gateway
    address: Address
    organization: UUID
    key: str

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that live now, old ones that drain included."""
        return worker_pids(self.gateway.process.pid)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A database connection that no fault of the drill touches."""
        return await asyncpg.connect(self.made.databases.database_url)

    async def mint(self, connection: object, name: str) -> tuple[UUID, str]:
        """A new key of the customer: its id and plaintext."""
        settings = KeySettings(peppers=self.made.settings["KEY_PEPPERS"])  # type: ignore[arg-type]
        created = await keys.create(connection, settings, organization_id=self.organization, name=name)
        return created.record.id, created.plaintext


@contextmanager
def stage(made: Installation, gateway_database_url: str | None = None) -> Iterator[Stage]:
    """Set it up in an installation; the gateway may be sent to the database by another way, through a fault, say."""
    mark, port = uuid4().hex[:8], free_port()
    made.plan(f"drill-{mark}")
    organization = made.organization(f"Drill {mark}", f"drill-{mark}")
    made.service(f"drill-{mark}", f"/drill-{mark}", f"http://127.0.0.1:{port}")
    key = made.key(organization["slug"], "drill")
    env = {"DATABASE_URL": gateway_database_url} if gateway_database_url else {}
    with start_upstream(made.folder, port):
        gateway = made.gateway(workers=WORKERS, env=env)
        with gateway.process:
            made.until_ready(gateway)
            yield Stage(made, gateway, Address.of(f"{gateway.url}/drill-{mark}"), UUID(organization["id"]), key["key"])

"""What spans say by name: services, operations and plans, which records have by id. Read whole, now and then.

They are few; keys, organizations and users are many, and are theirs alone: spans have their ids.
"""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from domain.faults import in_one_line
from domain.settings import DatabaseSettings

log = logging.getLogger(__name__)

FRESH_SECONDS, STALE_SECONDS, AFTER_A_FAULT_SECONDS = 2.0, 60.0, 10.0
"""Read again this soon where a name is missing, this late anyway, and so long after the database was away."""

_CONNECT_SECONDS, _STATEMENT_SECONDS = 2.0, 5.0
_NOBODY = bytes(16)
_SERVICES = "select id, slug, route_prefix, upstreams from service"
_OPERATIONS = "select id, service_id, name, path_pattern from operation"
_PLANS = "select id, slug from plan"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class Target:
    """A service, or an operation of one. `route` is a pattern, never a path; `host` the upstream's, where it has one."""

    service: str
    operation: str
    route: str
    host: str = ""
    port: int = 0


class Names:
    """By the bytes of their ids. Without the database what is known stays, and what is not known has no name."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._dsn = database.url.get_secret_value()
        self._services: dict[bytes, Target] = {}
        self._operations: dict[bytes, Target] = {}
        self._plans: dict[bytes, str] = {}
        self._due_at = float("-inf")
        self._read_at = float("-inf")
        self._said = False
        self.missed = True
        """Whether a name was asked for that is not known."""
        self.version = 0
        """Another one whenever something was read."""

    def target(self, service_id: bytes, operation_id: bytes) -> Target | None:
        """The operation, or the service where none is declared."""
        if service_id == _NOBODY:
            return None
        found = self._services.get(service_id) if operation_id == _NOBODY else self._operations.get(operation_id)
        self.missed = self.missed or found is None
        return found

    def plan(self, plan_id: UUID | None) -> str:
        """Its slug; empty if it is not known."""
        found = "" if plan_id is None else self._plans.get(plan_id.bytes, "")
        self.missed = self.missed or (plan_id is not None and not found)
        return found

    async def refresh(self) -> None:
        """Read again if that is due. Never raises for a database that is away."""
        now = time.monotonic()
        if now < self._due_at or now < self._read_at + (FRESH_SECONDS if self.missed else STALE_SECONDS):
            return
        try:
            await self._read()
        except _FAULTS as fault:
            self._due_at = time.monotonic() + AFTER_A_FAULT_SECONDS
            if not self._said:
                log.warning("spans have ids without names, the database is away: %s", in_one_line(fault))
            self._said = True
        else:
            self._read_at = time.monotonic()
            self.missed = self._said = False

    async def _read(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_SECONDS,
            command_timeout=_STATEMENT_SECONDS,
            server_settings={"application_name": "paid-endpoint tracer"},
        )
        try:
            services = await connection.fetch(_SERVICES)
            operations = await connection.fetch(_OPERATIONS)
            plans = await connection.fetch(_PLANS)
        finally:
            connection.terminate()
        hosts = {row["id"]: _host(row["upstreams"]) for row in services}
        prefixes = {row["id"]: (row["slug"], row["route_prefix"]) for row in services}
        self._services = {
            id_.bytes: Target(slug, "", f"{prefix}/*", *hosts[id_]) for id_, (slug, prefix) in prefixes.items()
        }
        self._operations = {
            row["id"].bytes: Target(slug, row["name"], prefix + row["path_pattern"], *hosts[row["service_id"]])
            for row in operations
            for slug, prefix in (prefixes[row["service_id"]],)
        }
        self._plans = {row["id"].bytes: row["slug"] for row in plans}
        self.version += 1


def _host(upstreams: Any) -> tuple[str, int]:
    """Host and port of a service's only upstream; of several nobody knows which it was. Never credentials."""
    entries = json.loads(upstreams) if isinstance(upstreams, str) else upstreams
    try:
        (entry,) = entries
        parts = urlsplit(entry["url"])
        return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except (ValueError, TypeError, KeyError):
        return "", 0

"""The application of one worker in this process, entered by the plain door; nobody ingests its journal."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domain.journal.decision import Decision, unpack_decision
from domain.journal.reading import open_journals
from domain.journal.records import BEGIN, END, Recorded, unpack
from domain.settings import load_settings
from gateway.app import create_app
from gateway.server.state import WorkerIdentity
from gateway.services import Services
from tests.gateways import PEPPERS, Tenant, connected, make_service, make_tenant
from tests.wire.upstream import RecordingUpstream


@dataclass
class Call:
    """One request through the application."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    begins_at_first_byte: int = 0


@dataclass
class Worker:
    """`ask` calls the application; `rows` are what its journal holds."""

    app: Any
    upstream: RecordingUpstream
    tenant: Tenant
    journals: Path
    services: Services

    async def ask(self, target: str, *, key: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Call:
        path, _, query = target.partition("?")
        presented = self.tenant.key if key is None else key
        fields = [(b"host", b"gateway"), *headers, *([(b"x-api-key", presented.encode())] if presented else [])]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": fields, "client": ("192.0.2.7", 1), "server": ("gateway", 80), "state": {},
        }  # fmt: skip
        call, asked = Call(), False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            first, asked = not asked, True
            if not first:
                await asyncio.Event().wait()  # it stays until it is answered
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                call.fields = {name.decode(): value.decode() for name, value in message["headers"]}
                call.begins_at_first_byte = len(self.rows(BEGIN))
            else:
                call.body += message.get("body", b"")

        await self.app(scope, receive, send)
        return call

    def rows(self, kind: int = END) -> list[Recorded]:
        return [
            unpack(record)
            for journal in open_journals(self.journals)
            for _, _, found, record in journal.read_from(0, 0)
            if found == kind
        ]

    def last(self) -> tuple[Recorded, Decision]:
        row = self.rows()[-1]
        decision = unpack_decision(row.decision or b"")
        assert decision is not None
        return row, decision


@pytest.fixture
async def worker(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    upstream = RecordingUpstream().start()
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "KEY_PEPPERS": PEPPERS, "JOURNAL_MAX_MB": "16"}
    given |= {"GATEWAY_STATE_DIR": str(tmp_path), "GATEWAY_INTERNAL_PORT": "0", "JOURNAL_SEGMENT_MB": "1"}
    given |= {"KEY_BAD_KEY_LIMIT_PER_MINUTE": "100000", "REDIS_TIMEOUT_MS": "2000"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    slug = f"journal-{tmp_path.name.replace('_', '-').lower()[-40:]}"
    async with connected(database_url) as connection:
        tenant = await make_tenant(connection, slug, amount=100)
        await make_service(connection, slug, f"/{slug}", upstream.port)
    app = create_app(load_settings(), WorkerIdentity())
    async with app.router.lifespan_context(app):
        made = Worker(app, upstream, tenant, tmp_path / "journal", app.state.services)
        yield made
    upstream.stop()

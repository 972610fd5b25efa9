"""A foreign ASGI server tells that the client left: the exchange goes on alone, but not for ever."""

import asyncio
import time
from typing import Any

import pytest

from domain import operations
from gateway import keeping
from tests.deadlines import until
from tests.gateways import connected
from tests.integration.gateway.journal.conftest import Worker, worker
from tests.integration.gateway.replaying.test_repeats import WHOLE
from tests.wire.upstream import Script

__all__ = ["worker"]


async def leave(worker: Worker, target: str, key: str) -> None:
    """Send a whole request, and be gone once the upstream has it."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": target, "raw_path": target.encode(), "query_string": b"", "root_path": "", "client": ("192.0.2.7", 1),
        "server": ("gateway", 80), "state": {}, "headers": [
            (b"host", b"gateway"), (b"x-api-key", worker.tenant.key.encode()), (b"content-length", b"1"),
            (b"idempotency-key", key.encode()),
        ],
    }  # fmt: skip
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        first, asked = not asked, True
        if first:
            return {"type": "http.request", "body": b"1", "more_body": False}
        await until(lambda: [one for one in worker.upstream.since(0, "/alone") if one.state == "whole"])
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        del message

    await worker.app(scope, receive, send)


async def prepared(worker: Worker, script: Script) -> str:
    slug = worker.tenant.slug
    async with connected(worker.services.settings.database.url.get_secret_value()) as connection:
        await operations.create(connection, service_slug=slug, method="*", path_pattern="/*", name="all", replays=True)

    def known() -> bool:
        found = worker.services.catalog.match(b"POST", f"/{slug}/alone".encode())
        return found is not None and found.operation is not None

    await until(known, what="the operation")
    worker.upstream.script("/alone", script)
    return f"/{slug}/alone"


async def states(worker: Worker) -> list[str]:
    query = "select state from idempotent_request where organization_id = $1"
    return [row["state"] for row in await worker.services.database.fetch(query, worker.tenant.organization_id)]


async def becomes(worker: Worker, wanted: list[str], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := await states(worker)) != wanted:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def test_it_ends_when_its_time_is_up(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "KEPT_ALONE_SECONDS", 0.3)
    target = await prepared(worker, Script(b"", delay_ms=60_000))
    await leave(worker, target, "key")
    assert await states(worker) == ["running"]
    await becomes(worker, [])
    row, _ = worker.last()
    assert (row.outcome, row.status) == ("gone", 0)
    assert worker.services.upstreams.in_flight() == 0


async def test_it_ends_when_the_upstream_has_answered(worker: Worker) -> None:
    target = await prepared(worker, Script(b"", delay_ms=200, late=WHOLE))
    await leave(worker, target, "key")
    assert await states(worker) == ["running"]
    await becomes(worker, ["done"])
    row, _ = worker.last()
    assert (row.outcome, row.status) == ("gone", 201)

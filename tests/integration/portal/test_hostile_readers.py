"""Hostile readers: who asks for a file and does not take it, and who asks for many."""

import asyncio
import socket
import threading
from contextlib import ExitStack
from uuid import uuid4

import pytest

from domain.audit_export import export_audit
from domain.audit_reading import AuditFilter
from domain.log_export import ExportRoom
from domain.webhooks import addresses
from portal import exporting
from portal.exporting import ExportResponse
from tests.portals import Person, Portal

SCOPE = {"type": "http", "asgi": {"spec_version": "2.3"}}
PATHS = ("/logs/export", "/audit/export")


async def test_a_reader_who_takes_nothing_loses_the_place(monkeypatch):
    """Without a bound, eight connections that never read would end exporting for everybody."""
    monkeypatch.setattr(exporting, "SLOWEST_SECONDS", 0.05)
    room, place, ended = ExportRoom(), ExitStack(), asyncio.Event()
    place.enter_context(room.place(uuid4(), 1))

    async def lines():
        try:
            while True:
                yield b"line\r\n"
        finally:
            ended.set()

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(Exception):  # noqa: B017, PT011  what it is called is the server's business
        async with asyncio.timeout(5):
            await ExportResponse(lines(), place, "text/csv", "x.csv")(SCOPE, receive, send)
    assert ended.is_set()
    assert not room._running


@pytest.mark.parametrize("path", PATHS)
async def test_one_person_has_two_exports_however_many_organizations(portal: Portal, owner: Person, path: str):
    elsewhere, neighbour = [await portal.organization() for _ in range(2)], await portal.person("owner")
    room = portal.app.state.services.exports
    with room.place(elsewhere[0].id, owner.user_id), room.place(elsewhere[1].id, owner.user_id):
        assert (await owner.browser.get(f"{owner.root}{path}")).status_code == 429
        assert (await owner.browser.api("GET", path)).status_code == 429
        assert (await neighbour.browser.get(f"{neighbour.root}{path}")).status_code == 200
    assert (await owner.browser.get(f"{owner.root}{path}")).status_code == 200


async def test_an_export_of_the_audit_holds_no_connection_between_its_parts(portal: Portal, owner: Person):
    await owner.browser.api("PATCH", "/organization", {"name": "Other name"})
    parts = export_audit(portal.pool, owner.access, AuditFilter())
    assert b"organization.change" in b"".join([await anext(parts), await anext(parts)])
    assert portal.pool.get_size() == portal.pool.get_idle_size()
    await parts.aclose()


async def test_a_name_server_that_never_answers_keeps_nobody_else_from_the_loops_threads(monkeypatch):
    """Names of webhooks are customers' names: forty that hang must not stop what else runs in threads."""
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait(20))
    monkeypatch.setattr(addresses, "RESOLVE_SECONDS", 0.1)
    asked = [asyncio.create_task(addresses.system_resolver("slow.example.com", 443)) for _ in range(40)]
    try:
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TimeoutError}
        async with asyncio.timeout(3):
            assert await asyncio.to_thread(lambda: "done") == "done"
    finally:
        hang.set()

"""A head that the gateway knows byte for byte is decided like any other: nothing that changed is overlooked."""

import asyncio
import time
from typing import Any

from domain import keys
from tests.gateways import RunningGateway, connected, key_settings
from tests.integration.gateway.conftest import World
from tests.wire.answers import WireAnswer, parse_answer

WARM = 4
"""The same request so often is known, and served as known."""


async def _ask_from(gateway: RunningGateway, source: str, raw: bytes, times: int = 1) -> list[WireAnswer]:
    """Answers to the same bytes, one after another, on one connection from an address of our own."""
    reader, writer = await asyncio.open_connection(*gateway.address, local_addr=(source, 0))
    answers = []
    for _ in range(times):
        writer.write(raw)
        received = b""
        while (answer := parse_answer(received, "GET", ended=False)) is None or not answer.whole:
            received += await asyncio.wait_for(reader.read(65_536), 10)
        answers.append(answer)
    writer.close()
    return answers


async def _a_key(world: World, connection: Any, **restrictions: Any) -> Any:
    return await keys.create(
        connection, key_settings(), organization_id=world.tenant.organization_id, name="known", **restrictions
    )


async def test_a_known_head_of_a_revoked_key_stops_at_once(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        made = await _a_key(world, connection)
        raw = gateway.request("/proxy/known", made.plaintext)
        assert {answer.status for answer in await _ask_from(gateway, "127.0.0.1", raw, WARM)} == {200}
        await keys.revoke(connection, made.record.id, organization_id=None)
    revoked = time.monotonic()
    while (await _ask_from(gateway, "127.0.0.1", raw))[0].status != 401:
        assert time.monotonic() - revoked < 1
    assert (await _ask_from(gateway, "127.0.0.1", raw))[0].status == 401


async def test_a_known_head_is_known_of_its_sender_only(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        made = await _a_key(world, connection, allowed_ips=["127.0.0.1/32"])
    raw = gateway.request("/proxy/known", made.plaintext)
    assert {answer.status for answer in await _ask_from(gateway, "127.0.0.1", raw, WARM)} == {200}
    assert (await _ask_from(gateway, "127.0.0.2", raw))[0].status == 403


async def test_a_known_head_follows_its_service(gateway: RunningGateway, world: World) -> None:
    raw = gateway.request("/based/known", world.tenant.key)
    assert {answer.status for answer in await _ask_from(gateway, "127.0.0.1", raw, WARM)} == {200}
    async with connected(world.database_url) as connection:
        await connection.execute("update service set enabled = false where slug = 'based'")
        changed = time.monotonic()
        try:
            while (answer := (await _ask_from(gateway, "127.0.0.1", raw))[0]).status == 200:
                assert time.monotonic() - changed < 1
            assert answer.status == 404
        finally:
            await connection.execute("update service set enabled = true where slug = 'based'")
            await gateway.serves("/based/known")


async def test_known_answers_differ_only_in_what_must(gateway: RunningGateway, world: World) -> None:
    """The first goes the long way, the last the short one."""
    raw = gateway.request("/proxy/known-same", world.tenant.key)
    seen = await _ask_from(gateway, "127.0.0.1", raw, WARM)
    each_time = {
        "x-request-id",
        "x-answer",
        "content-length",
        "ratelimit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    }
    fixed = [[field for field in answer.fields if field[0] not in each_time] for answer in seen]
    assert fixed == [fixed[0]] * WARM
    assert [[name for name, _ in answer.fields] for answer in seen] == [[name for name, _ in seen[0].fields]] * WARM
    assert len({answer.first("x-request-id") for answer in seen}) == WARM

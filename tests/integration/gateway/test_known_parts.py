"""A request line that is known of one caller beside fields that are known of another request: decided as if read anew."""

import asyncio
from typing import Any

import pytest

from domain import keys
from tests.gateways import RunningGateway, connected, key_settings, running_gateway
from tests.integration.gateway.conftest import World
from tests.wire.answers import WireAnswer, parse_answer

WARM = 3
"""The same request so often, and both of its parts are known."""
EACH_TIME = ("traceparent", "x-request-id", "x-pe-request-id")
WEBSOCKET = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


async def _ask(gateway: RunningGateway, raw: bytes, times: int = 1, *, in_two: bool = False) -> list[WireAnswer]:
    """Answers to the same bytes, one after another; those that come `in_two` are read the long way."""
    reader, writer = await asyncio.open_connection(*gateway.address)
    answers = []
    for _ in range(times):
        if in_two:
            writer.write(raw[:20])
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(raw[20:] if in_two else raw)
        received = b""
        while (answer := parse_answer(received, "GET", ended=False)) is None or not answer.whole:
            received += await asyncio.wait_for(reader.read(65_536), 10)
        answers.append(answer)
    writer.close()
    return answers


async def _statuses(gateway: RunningGateway, raw: bytes, times: int = WARM) -> set[int]:
    return {answer.status for answer in await _ask(gateway, raw, times)}


async def _a_key(world: World, connection: Any, **restrictions: Any) -> Any:
    return await keys.create(
        connection, key_settings(), organization_id=world.tenant.organization_id, name="parts", **restrictions
    )


def _sent(world: World, mark: int) -> list[str]:
    (record,) = world.upstream.since(mark)
    return [line for line in record.text.splitlines() if not line.lower().startswith(EACH_TIME)]


@pytest.mark.parametrize("prefix", ["/proxy", "/based"])
async def test_the_upstream_gets_the_same_bytes(gateway: RunningGateway, world: World, prefix: str) -> None:
    line, fields = f"{prefix}/parts%20a?b=1", ("Accept: */*", "User-Agent: parts")
    assert await _statuses(gateway, gateway.request(line, world.other.key)) == {200}
    assert await _statuses(gateway, gateway.request(f"{prefix}/elsewhere", world.tenant.key, *fields)) == {200}
    raw, mark = gateway.request(line, world.tenant.key, *fields), world.upstream.mark()
    (short,) = await _ask(gateway, raw)
    by_parts, mark = _sent(world, mark), world.upstream.mark()
    (long,) = await _ask(gateway, raw, in_two=True)
    assert by_parts == _sent(world, mark)
    assert short.status == long.status == 200
    assert [name for name, _ in short.fields] == [name for name, _ in long.fields]


async def test_scopes_hold_where_both_parts_are_known(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        scoped = (await _a_key(world, connection, scopes=["plain"])).plaintext
    assert await _statuses(gateway, gateway.request("/based/scoped", world.tenant.key)) == {200}
    assert await _statuses(gateway, gateway.request("/proxy/scoped", scoped)) == {200}
    assert await _statuses(gateway, gateway.request("/based/scoped", scoped)) == {403}


async def test_a_minimum_plan_holds_where_both_parts_are_known(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        await connection.execute(
            "update service set minimum_plan_id = (select plan_id from subscription where organization_id = $1) "
            "where slug = 'based'", world.tenant.organization_id,
        )  # fmt: skip
        plan = "(select plan_id from subscription where organization_id = $1)"
        await connection.execute(f"update plan set sort_order = 99 where id = {plan}", world.tenant.organization_id)
        await connection.execute(f"update plan set sort_order = 1 where id = {plan}", world.other.organization_id)
        try:
            async with asyncio.timeout(20):
                while await _statuses(gateway, gateway.request("/based/plan", world.other.key), 1) != {403}:
                    await asyncio.sleep(0.05)
            assert await _statuses(gateway, gateway.request("/based/plan", world.tenant.key)) == {200}
            assert await _statuses(gateway, gateway.request("/proxy/plan", world.other.key)) == {200}
            assert await _statuses(gateway, gateway.request("/based/plan", world.other.key)) == {403}
        finally:
            await connection.execute("update service set minimum_plan_id = null where slug = 'based'")
            async with asyncio.timeout(20):
                while await _statuses(gateway, gateway.request("/based/plan", world.other.key), 1) != {200}:
                    await asyncio.sleep(0.05)


async def test_a_key_in_a_line_that_another_made_known_is_refused(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        key = (await _a_key(world, connection)).plaintext
    line = f"/proxy/parts/{key}"
    assert await _statuses(gateway, gateway.request(line, world.other.key)) == {200}
    assert await _statuses(gateway, gateway.request("/proxy/parts", key)) == {200}
    assert await _statuses(gateway, gateway.request(line, key)) == {400}


async def test_a_revoked_key_stops_beside_every_line(gateway: RunningGateway, world: World) -> None:
    async with connected(world.database_url) as connection:
        made = await _a_key(world, connection)
        raws = [gateway.request(f"/proxy/revoked/{number}", made.plaintext) for number in range(3)]
        for raw in raws:
            assert await _statuses(gateway, raw) == {200}
        await keys.revoke(connection, made.record.id, organization_id=None)
    async with asyncio.timeout(2):
        while await _statuses(gateway, raws[0], 1) != {401}:
            await asyncio.sleep(0.01)
    assert [await _statuses(gateway, raw) for raw in raws] == [{401}] * 3


async def test_an_upgrade_that_is_none_beside_one_method_is_one_beside_another(
    gateway: RunningGateway, world: World
) -> None:
    """Only GET upgrades. That its fields are known from POST must not hide it."""
    fields, mark = (*WEBSOCKET, "Content-Length: 0"), world.upstream.mark()
    assert await _statuses(gateway, gateway.request("/proxy/parts-post", world.tenant.key, *fields, method="POST")) == {
        200
    }
    assert await _statuses(gateway, gateway.request("/proxy/parts-ws", world.tenant.key)) == {200}
    mark = world.upstream.mark()
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(gateway.request("/proxy/parts-ws", world.tenant.key, *fields))
    await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()
    assert "upgrade: websocket" in world.upstream.since(mark)[0].text.lower()


async def test_an_empty_line_before_a_head_is_no_request_line(gateway: RunningGateway, world: World) -> None:
    for path in ("/proxy/empty-a", "/proxy/empty-b", "/proxy/empty-a"):
        mark = world.upstream.mark()
        assert await _statuses(gateway, b"\r\n" + gateway.request(path, world.tenant.key), 2 * WARM) == {200}
        assert {record.target.rpartition("/")[2] for record in world.upstream.since(mark)} == {path.rpartition("/")[2]}


async def test_two_parts_that_are_too_long_together_are_refused(world: World) -> None:
    async with running_gateway(world.database_url, world.redis_url, GATEWAY_MAX_HEADER_BYTES="1024") as gateway:
        long_line, long_field = f"/proxy/{'l' * 600}", f"X-Long: {'f' * 500}"
        assert await _statuses(gateway, gateway.request(long_line, world.tenant.key)) == {200}
        assert await _statuses(gateway, gateway.request("/proxy/short", world.tenant.key, long_field)) == {200}
        assert await _statuses(gateway, gateway.request(long_line, world.tenant.key, long_field), 1) == {431}

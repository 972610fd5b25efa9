"""WebSocket through the gateway with the library `websockets` at both ends: every message comes back as it went."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.real_clients.front import Front, Target

MESSAGES = 10_000
MEGABYTE = 1 << 20
EDGES, SMALL = (127, 500, 4096, 65_535, 65_536, 131_072), (0, 1, 17, 125, 126, 200)
ALPHABET = "aäλ漢😀 " * 50


async def echo(connection: ServerConnection) -> None:
    """Send every message back; a message `close CODE REASON` closes with that."""
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            await connection.close(int(code), reason)
        else:
            await connection.send(message)


@asynccontextmanager
async def echo_behind(front: Front, compression: str | None) -> AsyncIterator[Target]:
    """An echo server behind the gateway; it answers ordinary requests with 426 itself."""
    async with serve(echo, "127.0.0.1", 0, compression=compression, max_size=None, ping_interval=None) as server:
        yield await front.behind(next(iter(server.sockets)).getsockname()[1])


@asynccontextmanager
async def client(target: Target, compression: str | None = None, **options: object) -> AsyncIterator[ClientConnection]:
    """A connection through the gateway."""
    async with connect(
        target.url.replace("http", "ws", 1) + "/chat?room=1",
        additional_headers={"X-API-Key": target.key}, compression=compression, max_size=None, ping_interval=None,
        proxy=None, **options,
    ) as made:  # fmt: skip
        yield made


def messages(count: int, seed: int) -> list[str | bytes | list[str] | list[bytes]]:
    """Text and binary of 0 bytes to 1 MB, most of them small; lists go out in fragments."""
    made: list[str | bytes | list[str] | list[bytes]] = []
    dice = random.Random(seed)
    for number in range(count):
        size = MEGABYTE if number % 1000 == 0 else dice.choice(EDGES if number % 20 == 0 else SMALL)
        whole: str | bytes = dice.randbytes(size) if number % 2 else (ALPHABET * (size // 100 + 1))[:size]
        fragmented = number % 7 == 0 and size > 3
        made.append([whole[: size // 3], whole[size // 3 : size // 2], whole[size // 2 :]] if fragmented else whole)  # type: ignore[arg-type]
    return made


def joined(message: str | bytes | list[str] | list[bytes]) -> str | bytes:
    """A message as its receiver sees it."""
    return message if not isinstance(message, list) else message[0][:0].join(message)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_ten_thousand_messages_come_back_as_they_went(front: Front, compression: str | None) -> None:
    sent = messages(MESSAGES, seed=1)
    async with echo_behind(front, compression) as target, client(target, compression) as connection:
        assert bool(connection.protocol.extensions) == bool(compression)

        async def send() -> None:
            for number, message in enumerate(sent):
                await connection.send(message)
                if number % 500 == 0:
                    await (await connection.ping(f"{number}"))

        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            group.create_task(send())
            for number, message in enumerate(sent):
                assert await connection.recv() == joined(message), f"message {number}"


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (1001, ""), (4001, "quota of the upstream"), (4999, "ü")])
async def test_the_upstreams_close_code_arrives(front: Front, code: int, reason: str) -> None:
    async with echo_behind(front, None) as target, client(target) as connection:
        await connection.send(f"close {code} {reason}")
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(connection.recv(), 5)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)


async def test_the_clients_close_code_arrives(front: Front) -> None:
    seen: asyncio.Future[tuple[int | None, str | None]] = asyncio.get_running_loop().create_future()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        seen.set_result((connection.close_code, connection.close_reason))

    async with serve(wait, "127.0.0.1", 0, ping_interval=None) as server:
        target = await front.behind(next(iter(server.sockets)).getsockname()[1])
        async with client(target) as connection:
            await connection.close(4321, "enough")
        assert await asyncio.wait_for(seen, 5) == (4321, "enough")


async def test_a_client_that_breaks_off_ends_the_upstreams_connection(front: Front) -> None:
    ended = asyncio.Event()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.set()

    async with serve(wait, "127.0.0.1", 0, ping_interval=None) as server:
        target = await front.behind(next(iter(server.sockets)).getsockname()[1])
        async with client(target) as connection:
            connection.transport.abort()
            await asyncio.wait_for(ended.wait(), 1)


async def test_path_query_and_subprotocol_cross_and_the_key_does_not(front: Front) -> None:
    seen: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def look(connection: ServerConnection) -> None:
        seen.set_result(connection)

    async with serve(look, "127.0.0.1", 0, subprotocols=["v1.echo"]) as server:
        target = await front.behind(next(iter(server.sockets)).getsockname()[1])
        async with client(target, subprotocols=["v0", "v1.echo"], origin="https://example.com") as connection:
            assert connection.subprotocol == "v1.echo"
            request = (await asyncio.wait_for(seen, 5)).request
    assert request is not None
    assert request.path == "/chat?room=1"
    assert "X-API-Key" not in request.headers
    assert request.headers["Origin"] == "https://example.com"


async def test_an_upstream_that_refuses_the_handshake_is_heard(front: Front) -> None:
    def refuse(connection: ServerConnection, request: object) -> object:
        return connection.respond(403, "not in this room\n")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        target = await front.behind(next(iter(server.sockets)).getsockname()[1])
        with pytest.raises(InvalidStatus) as caught:
            async with client(target):
                pass
    assert caught.value.response.status_code == 403
    assert caught.value.response.body == b"not in this room\n"

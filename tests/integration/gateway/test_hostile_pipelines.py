"""A client that sends far ahead gets every answer, and nobody waits for ever."""

from tests.gateways import RunningGateway
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

FIRST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


async def test_a_large_upload_sent_behind_a_slow_request_is_served(gateway: RunningGateway, world: World) -> None:
    """More is held behind the first request than the gateway reads ahead; it must go on reading for the second."""
    world.upstream.script("/hostile-slow", Script(FIRST, delay_ms=300, late=b"ok"))
    upload = gateway.request("/proxy/hostile-upload", world.tenant.key, method="POST", body=b"x" * 2_000_000)
    async with await RawClient.connect(gateway.address) as client:
        assert await client.send(gateway.request("/proxy/hostile-slow", world.tenant.key) + upload)
        seen = await client.answers(2)
    assert [answer.status for answer in seen.final] == [200, 200]

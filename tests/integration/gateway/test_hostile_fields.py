"""What a hostile side writes into fields and targets must not reach the other side."""

import hashlib

from tests.gateways import RunningGateway, connected
from tests.integration.gateway.conftest import World
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

LEGACY_KEY = "legacy-Kq83nd0s9Xm2pL5t"
INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n"
    b"Content-Length: 0\r\nX-PE-Organization: other\r\nX-Request-Id: forged\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)


async def test_an_interim_answer_brings_only_end_to_end_fields(gateway: RunningGateway, world: World) -> None:
    world.upstream.script("/hostile-interim", Script(INTERIM))
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request("/proxy/hostile-interim", world.tenant.key))
        seen = await client.answers(1)
    assert (seen.problem, [answer.status for answer in seen.interim]) == ("", [103])
    assert [name for name, _ in seen.interim[0].fields] == ["link"]


async def test_a_key_spelled_with_escapes_does_not_reach_the_upstream(gateway: RunningGateway, world: World) -> None:
    mark = world.upstream.mark()
    key = world.tenant.key
    for spelled in ("%70" + key[1:], "".join(f"%{byte:02X}" for byte in key.encode())):
        assert (await gateway.ask(gateway.request(f"/proxy/hostile/{spelled}", key))).status == 400
        assert (await gateway.ask(gateway.request(f"/proxy/hostile?a={spelled}", key))).status == 400
    assert world.upstream.since(mark) == []


async def test_an_imported_key_in_the_query_does_not_reach_the_upstream(gateway: RunningGateway, world: World) -> None:
    """Imported keys have no mark by which a query could be searched before the key is known."""
    async with connected(world.database_url) as connection:
        await connection.execute(
            "insert into api_key (organization_id, name, scheme, prefix, last4, digest, environment)"
            " values ($1, 'imported', 'sha256', 'legacy', 'pL5t', $2, 'live') on conflict do nothing",
            world.tenant.organization_id,
            hashlib.sha256(LEGACY_KEY.encode()).digest(),
        )
    mark = world.upstream.mark()
    assert (await gateway.ask(gateway.request("/proxy/hostile", LEGACY_KEY))).status == 200
    for query in (f"api_key={LEGACY_KEY}", f"x={LEGACY_KEY}", f"x=%6c{LEGACY_KEY[1:]}"):
        assert (await gateway.ask(gateway.request(f"/proxy/hostile-query?{query}", LEGACY_KEY))).status == 400
    assert world.upstream.since(mark, "query") == []


async def test_no_answer_of_ours_leads_to_a_host_that_the_caller_named(gateway: RunningGateway) -> None:
    for path in (b"/health/", b"/ready/", b"/user/usage/", b"/errors/unknown_route/"):
        answer = await gateway.ask(b"GET %b HTTP/1.1\r\nHost: evil.example\r\n\r\n" % path)
        assert answer.status in {401, 404}
        assert "evil.example" not in answer.text + answer.body.decode()

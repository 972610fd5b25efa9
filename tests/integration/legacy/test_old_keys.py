"""An old key before and after: at the older gateway, then at ours over a socket, with its plan's limits in force."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from domain import keys
from tests.gateways import RunningGateway, key_settings, make_service, running_gateway
from tests.legacy import Old, older_gateway
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream

HOURLY = 5


@dataclass
class Moved:
    """Both installations after the import: a key of each kind by name, its id, and our gateway."""

    old: Old
    ids: dict[str, str]
    gateway: RunningGateway
    older_port: int

    async def ask(self, plaintext: str) -> int:
        """The status at our gateway."""
        return (await self.gateway.ask(self.gateway.request("/shop/x", plaintext))).status

    async def ask_older(self, plaintext: str) -> int:
        """The status at the older gateway."""
        async with await RawClient.connect(("127.0.0.1", self.older_port)) as client:
            await client.send(f"GET /shop/x HTTP/1.1\r\nHost: old\r\nX-API-Key: {plaintext}\r\n\r\n".encode())
            return (await client.answers(1, 10, ["GET"])).final[0].status

    def text(self, name: str) -> str:
        return self.old.keys[self.ids[name]]


@pytest.fixture
async def moved(old: Old, new, redis_url: str) -> AsyncIterator[Moved]:
    await old.plan("basic", "Basic", HOURLY, 1_000)
    client, suspended = await old.client(), await old.client(status="suspended")
    ids = {name: await old.key(client) for name in ("first", "second", "third")}
    ids["odd"] = await old.key(client, text="old key, with:odd/characters=\u007e?")
    ids["pe"] = await old.key(client, text="pe_livery_1234")
    ids["expired"] = await old.key(client, text="sk_expired_long_ago")
    await old.connection.execute("update api_keys set expires_at = '2020-01-01' where key_id = $1", ids["expired"])
    ids["revoked"] = await old.key(client, status="revoked")
    ids["suspended"] = await old.key(suspended)
    upstream = RecordingUpstream().start()
    try:
        async with older_gateway(old) as older_port:
            await make_service(new.connection, "shop", "/shop", upstream.port)
            async with running_gateway(new.url, redis_url) as gateway:
                yield Moved(old, ids, gateway, older_port)
    finally:
        upstream.stop()


async def test_an_old_key_works_before_and_after_unchanged(moved: Moved, new):
    # Asked for before they are here: what was unknown a moment ago must be known as soon as it is imported.
    usable, unusable = ("first", "second", "odd", "pe"), ("expired", "revoked")
    for name in (*usable, *unusable):
        assert await moved.ask(moved.text(name)) == 401
    assert {name: await moved.ask_older(moved.text(name)) for name in (*usable, *unusable)} == {
        "first": 200, "second": 200, "odd": 200, "pe": 200, "expired": 401, "revoked": 401,
    }  # fmt: skip
    await new.take(moved.old)
    await asyncio.sleep(1)
    assert {name: await moved.ask(moved.text(name)) for name in (*usable, *unusable, "suspended")} == {
        "first": 200, "second": 200, "odd": 200, "pe": 200, "expired": 401, "revoked": 401, "suspended": 403,
    }  # fmt: skip
    # The older installation is as it was: both can be used while callers move.
    assert await moved.ask_older(moved.text("first")) == 200
    # Neither the hash nor anything beside the key opens the door.
    digest = await moved.old.connection.fetchval("select key_hash from api_keys where key_id = $1", moved.ids["first"])
    for wrong in (digest, moved.text("first")[:-1], moved.text("first") + "0", moved.text("first").upper(), "sk_"):
        assert await moved.ask(wrong) == 401


async def test_its_plan_is_in_force_for_each_key_by_itself(moved: Moved, new):
    await new.take(moved.old)
    await asyncio.sleep(1)
    first = [await moved.ask(moved.text("first")) for _ in range(HOURLY + 2)]
    assert first == [200] * HOURLY + [429] * 2
    assert await moved.ask(moved.text("second")) == 200
    answer = await moved.gateway.ask(moved.gateway.request("/shop/x", moved.text("third")))
    policy = answer.first("ratelimit-policy")
    assert '"hour";q=5;w=3600' in policy
    assert '"day";q=1000;w=86400' in policy


async def test_it_is_revoked_within_a_second(moved: Moved, new):
    await new.take(moved.old)
    await asyncio.sleep(1)
    assert await moved.ask(moved.text("second")) == 200
    begin = time.monotonic()
    await keys.revoke(new.connection, UUID(moved.ids["second"]), organization_id=None)
    while await moved.ask(moved.text("second")) != 401:
        assert time.monotonic() - begin < 1
    assert await moved.ask(moved.text("third")) == 200


async def test_its_rotation_makes_a_key_of_the_new_format_and_the_old_one_ends(moved: Moved, new):
    await new.take(moved.old)
    key_id = UUID(moved.ids["third"])
    made = await keys.rotate(new.connection, key_settings(), key_id, organization_id=None, overlap=timedelta(seconds=2))
    assert made.record.scheme == "hmac"
    assert made.plaintext.startswith("pe_live_")
    assert keys.crc_ok(made.plaintext.encode())
    await asyncio.sleep(0.5)
    assert (await moved.ask(made.plaintext), await moved.ask(moved.text("third"))) == (200, 200)
    await asyncio.sleep(2)
    assert (await moved.ask(made.plaintext), await moved.ask(moved.text("third"))) == (200, 401)

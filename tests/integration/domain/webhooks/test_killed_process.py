"""A process that delivers is killed in the middle of an attempt."""

import asyncio
import sys
from datetime import timedelta

from domain.webhooks.claiming import LEASE
from tests.deadlines import until
from tests.receivers import OK, receiving

PROGRAM = """
import asyncio, sys
from domain.databases import open_pool
from domain.portal_settings import SecretSettings, WebhookSettings
from domain.settings import DatabaseSettings
from domain.webhooks.deliverer import Deliverer

async def main():
    pool = await open_pool(DatabaseSettings(url=sys.argv[1]), "victim")
    settings = WebhookSettings(allow_private=True, timeout_seconds=30)
    await Deliverer(pool, settings, SecretSettings(keys="1:" + "33" * 32), portal_url="http://localhost").run()

asyncio.run(main())
"""


async def test_f3_after_sigkill_the_event_arrives_under_the_same_id(tenant, database_url):
    first = True

    async def hang_once(receiver, reader, writer) -> None:
        nonlocal first
        if first:
            first = False
            await receiver.stopped.wait()
        writer.write(OK)
        await writer.drain()

    async with receiving(hang_once) as receiver:
        created = await tenant.endpoint(receiver.url)
        event_id = await tenant.emit()
        victim = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, database_url)
        try:
            await until(lambda: receiver.received, 20, "the first attempt")
        finally:
            victim.kill()
            await victim.wait()
        [row] = await tenant.deliveries()
        assert (row["state"], row["attempts"], row["ended_at"]) == ("waiting", 1, None)
        assert await tenant.deliverer().deliver_due() == 0
        tenant.clock.ahead = LEASE + timedelta(seconds=1)
        assert await tenant.deliverer().deliver_due() == 1
    [row] = await tenant.deliveries()
    assert (row["state"], row["attempts"]) == ("delivered", 2)
    assert [each.headers["webhook-id"] for each in receiver.received] == [str(event_id)] * 2
    assert all(each.verify(created.secret) for each in receiver.received)

"""The real gateway, its worker killed: what was answered has its row, what was being sent is a row `cut`."""

import asyncio
import os
import signal

from loadtests.processes import children
from tests.deadlines import until
from tests.gateways import RunningGateway, connected, make_service, make_tenant, running_gateway
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream, Script

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"


def workers(gateway: RunningGateway) -> list[int]:
    return children(gateway.pid, "gateway.server.worker")


async def answered(gateway: RunningGateway, raw: bytes) -> set[str]:
    """Ids of the answers that came whole, one after another on a kept connection, until the worker is gone."""
    async with await RawClient.connect(gateway.address) as client:
        while client.end is None and await client.send(raw):
            before = len(client.received)
            await client.until(lambda before=before: len(client.received) > before, 5.0)
        await client.ended()
        whole = [answer for answer in client.transcript().final if answer.whole]
        assert {answer.status for answer in whole} <= {200}
        return {answer.values("x-request-id")[0] for answer in whole}


async def test_every_answer_of_a_killed_worker_has_its_row_and_streams_become_cut(fresh_database_url, redis_url):
    upstream = RecordingUpstream().start()
    upstream.scripts["/streamed"] = Script(HEAD, delay_ms=60_000, late=b"0\r\n\r\n")
    async with connected(fresh_database_url) as connection:
        tenant = await make_tenant(connection, "death")
        await make_service(connection, "death", "/death", upstream.port)
        async with running_gateway(fresh_database_url, redis_url) as gateway:
            raw = gateway.request("/death/items", tenant.key)
            callers = [asyncio.create_task(answered(gateway, raw)) for _ in range(4)]
            async with await RawClient.connect(gateway.address) as streaming:
                await streaming.send(gateway.request("/death/streamed", tenant.key))
                await until(lambda: b"four" in streaming.received and len(upstream.records) > 200)
                for worker in workers(gateway):
                    os.kill(worker, signal.SIGKILL)
            ids = set().union(*await asyncio.gather(*callers))
            assert len(ids) > 100
            rows = {}
            while not any(outcome == "cut" for outcome in rows.values()):
                found = await connection.fetch("select id, outcome from request_log")
                rows = {str(row["id"]): row["outcome"] for row in found}
                await asyncio.sleep(0.02)
            assert len(found) == len(rows)
            assert ids <= {id_ for id_, outcome in rows.items() if outcome == "served"}
            assert list(rows.values()).count("cut") == 1
    upstream.stop()

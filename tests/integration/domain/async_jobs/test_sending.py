"""Attempts to send jobs, on a real socket: nothing of one job goes on into the next."""

from uuid import uuid4

from domain.async_jobs.claiming import Claim, Target
from domain.async_jobs.dispatcher import new_client
from domain.async_jobs.sending import Meaning, send
from tests.wire.upstream import RecordingUpstream, Script


async def test_cookies_of_an_upstream_are_neither_kept_nor_sent():
    upstream = RecordingUpstream().start()
    upstream.script(
        "/", Script(b"HTTP/1.1 202 Accepted\r\nSet-Cookie: session=of-another\r\nContent-Length: 0\r\n\r\n")
    )
    to = Target(
        uuid4(), "work", True, [{"url": f"http://127.0.0.1:{upstream.port}"}], 1.0, 5.0, 5.0, 5.0, tls_verify=True
    )
    client = new_client(verify=True)
    try:
        for _ in range(2):
            claim = Claim(uuid4(), uuid4(), 1, "POST", "/orders", b"", b"{}", to)
            assert (await send(client, claim, [], "http://localhost", 100)).meaning is Meaning.TAKEN
        assert len(client.cookies.jar) == 0
        assert all(not record.request.values("cookie") for record in upstream.since(0, "/orders"))
    finally:
        await client.aclose()
        upstream.stop()

"""A tiny raw ASGI application that answers with what it received; `?` options in the query steer it."""

import asyncio
import logging
from urllib.parse import parse_qs

log = logging.getLogger("recording")


def create_app(settings, *, worker):
    return RecordingApp(worker)


class RecordingApp:
    def __init__(self, worker):
        self.worker = worker

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        options = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        client = scope["extensions"]["paid_endpoint"]
        name = scope["path"].rpartition("/")[2]
        if hasattr(self, f"_{name}"):
            await getattr(self, f"_{name}")(options, client, scope, receive, send)
            return
        body = await read(receive)
        answer = b"%s %s %s" % (scope["method"].encode(), client.target[:100], body[:100])
        headers = [(b"content-type", b"text/plain"), (b"x-worker", str(self.worker.index).encode())]
        headers.append((b"x-body-length", str(len(body)).encode()))
        if "chunked" not in options:
            headers.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": int(options.get("status", 200)), "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _lifespan(self, receive, send):
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def _early(self, options, client, scope, receive, send):
        """Answer without reading the body."""
        body = b"no" * 1000
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": int(options["status"]), "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, options, client, scope, receive, send):
        """`n` pieces of `size` bytes, `pause` seconds apart; `cut` aborts instead of ending."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(int(options["n"])):
            await send({"type": "http.response.body", "body": b"x" * int(options.get("size", 10)), "more_body": True})
            await asyncio.sleep(float(options.get("pause", 0)))
        if "cut" in options:
            client.abort()
            return
        await send({"type": "http.response.body", "body": b""})

    async def _interim(self, options, client, scope, receive, send):
        client.interim(103, [(b"link", b"</style.css>")])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _fault(self, options, client, scope, receive, send):
        raise ZeroDivisionError

    async def _never(self, options, client, scope, receive, send):
        """Take nothing of the body."""
        await asyncio.sleep(5)

    async def _watch(self, options, client, scope, receive, send):
        """Say in the log when the client leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()
        log.warning("the client left its stream")

    async def _tunnel(self, options, client, scope, receive, send):
        assert (await receive())["type"] == "http.request"
        ending = asyncio.create_task(receive())
        await asyncio.sleep(0)
        head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        if not client.tunnel(head, Echo()):
            await self._early({"status": "400"}, client, scope, receive, send)
        assert (await ending)["type"] == "http.disconnect"
        log.warning("the tunnel ended")


class Echo:
    """An upstream tunnel that sends everything back."""

    def attach(self, client):
        self.client = client

    def write(self, data):
        self.client.tunnel_data(data)

    def write_eof(self):
        self.client.tunnel_eof()

    def pause(self):
        self.client.tunnel_pause()

    def resume(self):
        self.client.tunnel_resume()

    def close(self):
        pass


async def read(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            log.warning("the client left")
            raise ConnectionError
        body += message["body"]
        if not message["more_body"]:
            return body

"""Connections of webhooks: to the very address that was checked, never to what a second look-up would say."""

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore2
import httpx2

from domain.webhooks.addresses import Guard


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves once, refuses, then connects by address; TLS still checks the name of the URL."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address that answers. Raises Blocked before any packet; httpcore2.ConnectError."""
        try:
            addresses = await self._guard.addresses(host, port)
        except (OSError, TimeoutError, UnicodeError) as fault:
            raise httpcore2.ConnectError("The host has no address.") from fault
        failed: Exception | None = None
        for address in addresses[:3]:
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as fault:
                failed = fault
        raise failed or httpcore2.ConnectError("The host has no address.")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  the interface
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never. Raises httpcore2.ConnectError."""
        del path, timeout, socket_options
        raise httpcore2.ConnectError("Webhooks do not go to sockets of this machine.")

    async def sleep(self, seconds: float) -> None:
        """As the plain one."""
        await self._plain.sleep(seconds)


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """HTTP/1.1 without proxies, without kept connections, without a retry of its own."""

    def __init__(self, guard: Guard, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        # Without a number of its own, which is ten: WEBHOOK_CONCURRENCY says how many there are, and whoever waited for a
        # place here would be told that their receiver gave no answer.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=0,
            http2=False,
            network_backend=CheckedBackend(guard),
        )


@cache
def _trusting_the_system() -> ssl.SSLContext:
    """Made once: reading all authorities takes a while."""
    return ssl.create_default_context()


def open_client(guard: Guard, context: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """A client for webhooks; `context` is for tests that have an authority of their own. The caller closes it."""
    return httpx2.AsyncClient(
        transport=CheckedTransport(guard, context or _trusting_the_system()),
        follow_redirects=False,
        trust_env=False,
        timeout=None,
    )

"""The upstream's side of a tunnel after a 101."""

from typing import TYPE_CHECKING

from gateway.ends import TunnelEnd
from gateway.upstream.exchange import TUNNEL, TUNNEL_CLOSING, Exchange

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection


class Tunnel:
    """Passes bytes both ways. Until a client is attached the upstream is not read, so at most one chunk is held."""

    __slots__ = ("_client", "_connection", "_early", "_exchange", "_lost")

    def __init__(self, connection: "Connection", exchange: Exchange, early: bytes) -> None:
        self._connection = connection
        self._exchange = exchange
        self._early = early
        self._client: TunnelEnd | None = None
        self._lost = False

    def attach(self, client: TunnelEnd) -> None:
        """From now on upstream bytes go to `client`; those that came behind the 101 go first."""
        self._client = client
        early, self._early = self._early, b""
        if early:
            client.tunnel_data(early)
        if self._lost:
            client.tunnel_eof()
        elif not self._exchange.paused:
            self._connection.resume_reading()

    def write(self, data: bytes) -> None:
        """Pass client bytes on; dropped once the upstream is gone."""
        if self._is_open():
            self._exchange.bytes_out += len(data)
            self._connection.transport.write(data)

    def write_eof(self) -> None:
        """The client has no more to say. Over TLS that ends the tunnel: there is no half-close."""
        if not self._is_open():
            return
        if self._connection.transport.can_write_eof():
            self._connection.transport.write_eof()
        else:
            self.close()

    def pause(self) -> None:
        """Stop reading from the upstream."""
        self._exchange.pause()

    def resume(self) -> None:
        """Read on."""
        self._exchange.resume()

    def close(self) -> None:
        """End the tunnel: what was written is flushed, for some seconds at most, then the connection is closed."""
        if self._is_open():
            self._client = None
            self._exchange.phase = TUNNEL_CLOSING
            self._exchange.since = self._exchange.origin.clock.now
            self._connection.transport.close()

    def received(self, data: bytes) -> None:
        """Bytes of the upstream."""
        if self._exchange.phase != TUNNEL:
            return
        self._exchange.bytes_in += len(data)
        if self._client is None:
            self._early += data
        else:
            self._client.tunnel_data(data)

    def lost(self) -> None:
        """The connection is closed: told to the client unless it was the one who did it."""
        if self._lost:
            return
        self._lost = True
        told = self._exchange.phase == TUNNEL
        self._exchange.end()
        if told and self._client is not None:
            self._client.tunnel_eof()

    def writing(self, *, paused: bool) -> None:
        """The upstream takes no more bytes now, or does again."""
        if self._client is None:
            return
        if paused:
            self._client.tunnel_pause()
        else:
            self._client.tunnel_resume()

    def _is_open(self) -> bool:
        return not self._lost and self._exchange.phase == TUNNEL

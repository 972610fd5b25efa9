"""The client's side of a tunnel: raw bytes both ways behind a 101 answer."""

from typing import TYPE_CHECKING

from gateway.ends import UpstreamTunnel
from gateway.server import pace

if TYPE_CHECKING:
    from gateway.server.protocol import GatewayProtocol


class ClientTunnelEnd:
    """Implements `TunnelEnd` on a client connection. Ends when both sides ended, one broke, or nothing moved."""

    __slots__ = ("_client_ended", "_connection", "_upstream", "_upstream_ended")

    def __init__(self, connection: "GatewayProtocol", upstream: UpstreamTunnel) -> None:
        self._connection, self._upstream = connection, upstream
        self._client_ended = self._upstream_ended = False

    # -- from the client

    def from_client(self, data: bytes) -> None:
        """Pass bytes on. Once the upstream ended they go nowhere, and no longer keep the tunnel."""
        if not self._upstream_ended:
            self._connection.pace.expect(self._connection.settings.keepalive_timeout_seconds)
            self._upstream.write(data)

    def client_eof(self) -> None:
        """The client ended its side."""
        self._client_ended = True
        self._upstream.write_eof()
        if self._upstream_ended:
            self._connection.close()

    def client_slow(self) -> None:
        """The client's buffer is full."""
        self._upstream.pause()

    def client_ready(self) -> None:
        """It has room again."""
        self._upstream.resume()

    def lost(self) -> None:
        """The client's connection is gone."""
        self._upstream.close()

    # -- TunnelEnd

    def tunnel_data(self, data: bytes) -> None:
        """Bytes of the upstream."""
        connection = self._connection
        if not self._upstream_ended:
            connection.pace.expect(connection.settings.keepalive_timeout_seconds)
            connection.write(data)

    def tunnel_eof(self) -> None:
        """The upstream ended its side."""
        if self._upstream_ended:
            return
        self._upstream_ended = True
        if self._client_ended or not self._connection.transport.can_write_eof():
            self._connection.close()
        elif not self._connection.transport.is_closing():
            self._connection.transport.write_eof()
            self._connection.pace.expect(self._connection.settings.linger_seconds)

    def tunnel_pause(self) -> None:
        """The upstream takes no more."""
        self._connection.pace.pause(pace.ASKED)

    def tunnel_resume(self) -> None:
        """It does again."""
        self._connection.pace.resume(pace.ASKED)

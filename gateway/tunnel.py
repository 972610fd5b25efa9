"""Counts what passes through a tunnel and tells the exchange, once, when it is over."""

from typing import TYPE_CHECKING

from gateway.ends import TunnelEnd, UpstreamTunnel

if TYPE_CHECKING:
    from gateway.exchange import Exchange


class MeteredTunnel:
    """Stands between the door's `TunnelEnd` and the upstream's `UpstreamTunnel`; itself is both."""

    __slots__ = ("_client", "_exchange", "_over", "_upstream", "bytes_in", "bytes_out")

    def __init__(self, upstream: UpstreamTunnel, exchange: "Exchange") -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._client: TunnelEnd | None = None
        self._over = False
        self.bytes_in = self.bytes_out = 0

    # -- the upstream's side, as the door sees it

    def attach(self, client: TunnelEnd) -> None:
        """Begin."""
        self._client = client
        self._upstream.attach(self)

    def write(self, data: bytes) -> None:
        """Client bytes go on."""
        self.bytes_in += len(data)
        self._upstream.write(data)

    def write_eof(self) -> None:
        """The client has no more to say."""
        self._upstream.write_eof()

    def pause(self) -> None:
        """The client is slower."""
        self._upstream.pause()

    def resume(self) -> None:
        """It takes bytes again."""
        self._upstream.resume()

    def close(self) -> None:
        """The client is gone."""
        self._upstream.close()
        self._end()

    # -- the client's side, as the upstream sees it

    def tunnel_data(self, data: bytes) -> None:
        """Upstream bytes go on."""
        self.bytes_out += len(data)
        if self._client is not None:
            self._client.tunnel_data(data)

    def tunnel_eof(self) -> None:
        """The upstream closed."""
        if self._client is not None:
            self._client.tunnel_eof()
        self._end()

    def tunnel_pause(self) -> None:
        """The upstream is slower."""
        if self._client is not None:
            self._client.tunnel_pause()

    def tunnel_resume(self) -> None:
        """It takes bytes again."""
        if self._client is not None:
            self._client.tunnel_resume()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._exchange.tunnel_ended(self.bytes_in, self.bytes_out)

"""What all connections of one worker share."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from domain.settings import GatewaySettings
from gateway.server.guard import GuardRules
from gateway.server.hosts import HostRule

if TYPE_CHECKING:
    from gateway.server.protocol import GatewayProtocol
    from gateway.server.served import Door

log = logging.getLogger("gateway.server")

MOST_KNOWN = 4_096
"""Bytes of a head that may be known (`gateway.admissions`); longer ones are rare, and read again each time."""


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Which of how many workers this is. `refused` counts the guard's refusals by code, for /metrics."""

    index: int = 0
    count: int = 1
    refused: Counter[str] = field(default_factory=Counter, compare=False)


class WorkerState(ServerState):
    """uvicorn's shared state and ours. `now` is the loop's clock in seconds as of the reaper's last round."""

    def __init__(self, settings: GatewaySettings, identity: WorkerIdentity, door: "Door | None" = None) -> None:
        """`door` serves what it takes; everything else, or without one everything, goes to the ASGI application."""
        super().__init__()
        self.door = door
        self.settings = settings
        self.identity = identity
        self.rules = GuardRules(
            HostRule(settings.allowed_hosts), settings.max_header_bytes, settings.max_headers, settings.max_body_bytes
        )
        self.most_known = min(MOST_KNOWN, settings.max_header_bytes)
        self.gateway_connections: set[GatewayProtocol] = set()
        self.draining = False
        self.cutting = False
        """Whether connections end because our own time is up, not because their clients left."""
        self.now = 0.0
        self.date = b""
        self._dated = 0

    def tick(self, now: float) -> None:
        """Move the clock, and close what is past its deadline."""
        self.now = now
        second = int(time.time())
        if second != self._dated:
            self._dated = second
            self.date = formatdate(second, usegmt=True).encode()
        for connection in tuple(self.gateway_connections):
            try:
                connection.check(now)
            except Exception as fault:  # the reaper serves all connections: one that can't be looked at is dropped
                log.error("a connection could not be checked and is dropped", exc_info=fault)  # noqa: TRY400
                connection.transport.abort()

"""What becomes of a connection on which something took too long."""

import math
from typing import TYPE_CHECKING

from domain.refusals import RequestTimeout
from gateway.server.phases import BODY, BUSY, IDLE, LINGER, TUNNEL

if TYPE_CHECKING:
    from gateway.server.protocol import GatewayProtocol


def check(connection: "GatewayProtocol", now: float) -> None:
    """The reaper looks at a connection: close it if the client is stuck, gone, or later than its deadline."""
    pace = connection.pace
    if pace.stuck(now) or (pace.paused and pace.left(now, may_half_close=connection.phase == TUNNEL)):
        connection.transport.abort()
    elif now > pace.deadline:
        pace.deadline = math.inf
        _too_late(connection)


def _too_late(connection: "GatewayProtocol") -> None:
    phase = connection.phase
    if phase == IDLE and not connection.is_idle():
        connection.refuse(RequestTimeout())
    elif phase == BODY:
        connection.break_request(RequestTimeout("The request body did not arrive in time."))
    elif phase == LINGER and connection.transport.get_write_buffer_size():
        connection.pace.expect(connection.settings.linger_seconds)
    elif phase in {BUSY, TUNNEL}:
        connection.transport.abort()
    else:
        connection.close()

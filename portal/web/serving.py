"""A face's process: one uvicorn server until it is told to stop."""

import signal
import sys
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from domain.portal_settings import Face

GRACE_SECONDS = 5


def serve(app: Starlette, face: Face, *, log_level: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a few seconds. Then the process ends with status 0."""
    # uvicorn raises the signal again after an orderly stop, and without a handler the process would seem to be killed by it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    uvicorn.run(
        app,
        host=face.host,
        port=face.port,
        proxy_headers=bool(face.trusted_proxies),
        forwarded_allow_ips=list(face.trusted_proxies),
        server_header=False,
        access_log=False,
        log_level=log_level.lower(),
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=1_000,
    )


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)

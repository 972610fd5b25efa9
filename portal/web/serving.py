"""A face's process: one uvicorn server until it is told to stop."""

import uvicorn
from starlette.applications import Starlette

from domain.portal_settings import Face

GRACE_SECONDS = 5


def serve(app: Starlette, face: Face, *, log_level: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a few seconds."""
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

"""The portal's process: one uvicorn server until it is told to stop."""

import uvicorn

from domain.settings import Settings
from portal.app import create_app

GRACE_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a few seconds."""
    portal = settings.portal
    uvicorn.run(
        create_app(settings),
        host=portal.host,
        port=portal.port,
        proxy_headers=bool(portal.trusted_proxies),
        forwarded_allow_ips=list(portal.trusted_proxies),
        server_header=False,
        access_log=False,
        log_level=settings.logs.level.lower(),
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=1_000,
    )

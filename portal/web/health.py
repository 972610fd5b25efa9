"""Whether the process is alive, and whether it can work."""

import asyncio
from typing import Protocol

from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse

from domain.databases import AWAY, Pool
from domain.faults import in_one_line
from domain.redis_client import Client

_SECONDS = 2.0


class Parts(Protocol):
    """What of an application's services is looked at."""

    @property
    def database(self) -> Pool:
        """PostgreSQL."""

    @property
    def redis(self) -> Client:
        """Redis."""


async def health(request: Request) -> JSONResponse:
    """200 while the process serves."""
    del request
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> JSONResponse:
    """200 when the database answers, else 503 with the reason. Redis only bounds sign-ins; its absence is told, no more."""
    services: Parts = request.app.state.services
    reasons = {}
    try:
        await services.database.fetchval("select 1", timeout=_SECONDS)
    except AWAY as fault:
        reasons["database"] = in_one_line(fault)
    notes = {}
    try:
        async with asyncio.timeout(_SECONDS):
            await services.redis.ping()
    except (OSError, TimeoutError, RedisError) as fault:
        notes["redis"] = in_one_line(fault)
    status = "not ready" if reasons else "ok"
    return JSONResponse({"status": status, "reasons": reasons, "notes": notes}, 503 if reasons else 200)

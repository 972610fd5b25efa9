"""What everybody writes first: Starlette and one httpx client. The row that target B3 is measured against."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

UPSTREAM = os.environ.get("NAIVE_UPSTREAM", "http://127.0.0.1:19101")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One client for all requests."""
    async with httpx.AsyncClient(base_url=UPSTREAM) as app.state.client:
        yield


async def forward(request: Request) -> StreamingResponse:
    """Ask the upstream, stream its answer."""
    client: httpx.AsyncClient = request.app.state.client
    upstream = client.build_request(
        request.method, request.url.path, headers=request.headers.raw, content=request.stream()
    )
    answer = await client.send(upstream, stream=True)
    return StreamingResponse(
        answer.aiter_raw(), answer.status_code, answer.headers, background=BackgroundTask(answer.aclose)
    )


app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])], lifespan=lifespan)

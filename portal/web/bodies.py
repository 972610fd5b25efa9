"""What a request brings: within a time, and no larger than what it is for, so that a sender who dawdles holds nothing."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

SECONDS = 30.0


async def read_body(request: Request, *, most: int) -> bytes:
    """The whole body, at most that many bytes. Raises HTTPException: 408 for a slow one, 413 for a large one, 400 for half of one."""
    try:
        async with asyncio.timeout(SECONDS):
            body = await request.body()
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    if len(body) > most:
        raise HTTPException(413)
    return body

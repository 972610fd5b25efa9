"""Creates that are sent twice under one Idempotency-Key happen once (IETF draft).

Claim, change and answer are one transaction: who comes second waits for the first, then gets its answer, without what
is shown once. After a fault nothing stands, and the key is free.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.responses import Response

from domain.api_replies import KeptReply, claim, keep
from domain.faults import InvalidValue
from portal.web.visit import Visit

HEADER = "idempotency-key"
LONGEST_KEY = 200


class Creating(Protocol):
    """What is needed of an endpoint."""

    @property
    def path(self) -> str:
        """Its path."""

    @property
    def shown_once(self) -> tuple[str, ...]:
        """Fields of the answer that a repeat does not get."""


async def once(
    visit: Visit, endpoint: Creating, arguments: dict[str, Any], call: Callable[[], Awaitable[Response]]
) -> Response:
    """`call()`, or what it answered before under the same key. Raises Conflict for a key of another request, InvalidValue."""
    key = visit.request.headers.get(HEADER)
    if key is None:
        return await call()
    if not 1 <= len(key) <= LONGEST_KEY or not all("!" <= character <= "~" for character in key):
        raise InvalidValue(
            f"The Idempotency-Key must have 1 to {LONGEST_KEY} visible ASCII characters, without blanks."
        )
    organization = visit.here.organization_id if visit.here else ""
    claimed = await claim(
        visit.connection,
        scope=f"{visit.person.user_id}:{organization}:{endpoint.path}",
        key=key,
        fingerprint=_fingerprint(visit, arguments),
    )
    if isinstance(claimed, KeptReply):
        again = {"idempotency-replayed": "true"}
        return Response(claimed.body, claimed.status, again, media_type="application/json")
    response = await call()
    body: dict[str, Any] = json.loads(bytes(response.body))
    kept = {name: None if name in endpoint.shown_once else value for name, value in body.items()}
    await keep(visit.connection, claimed, response.status_code, kept)
    return response


def _fingerprint(visit: Visit, arguments: dict[str, Any]) -> str:
    body = arguments.get("body")
    text = body.model_dump_json() if isinstance(body, BaseModel) else ""
    return hashlib.sha256(f"{visit.request.url.path}\n{text}".encode()).hexdigest()

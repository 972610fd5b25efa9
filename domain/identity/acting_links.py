"""Links by which an operator goes from the back office into the portal, to act there as a customer.

A link is good once and for a minute. It lives in Redis only, under the digest of its token, and expires there by itself:
no table ever holds a way into a customer's pages.
"""

import hashlib
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError

from domain.faults import Unavailable
from domain.identity.links import DeadLink
from domain.random_tokens import digest_of, new_token
from domain.redis_client import within
from domain.redis_keys import acting_link_key

LIVES_SECONDS = 60
_BUDGET_SECONDS = 2.0
_AWAY = (RedisError, OSError, TimeoutError)


class ActingLink(BaseModel):
    """What a link opens. `session_id` is the operator's own, with which it dies; `browser` the digest of their browser's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operator_id: int
    session_id: UUID
    organization_id: UUID
    minutes: int
    may_change: bool
    reason: str
    browser: str


def browser_of(user_agent: str) -> str:
    """What a link remembers of the browser that it was made for."""
    return hashlib.sha256(user_agent.encode("utf-8", "replace")).hexdigest()


async def new_acting_link(redis: Any, link: ActingLink) -> str:
    """The token of a new link. Raises Unavailable without Redis."""
    token = new_token()
    key = acting_link_key(token.digest)
    await _ask(redis, "SET", key, link.model_dump_json(), "EX", LIVES_SECONDS, "NX")
    return token.text


async def look_at_acting_link(redis: Any, token: str, user_agent: str) -> ActingLink:
    """What a link is for, without using it up. Raises DeadLink, also in another browser; Unavailable."""
    return _read(await _ask(redis, "GET", acting_link_key(digest_of(token))), user_agent)


async def use_acting_link(redis: Any, token: str, user_agent: str) -> ActingLink:
    """Use a link up: of two at once one gets it, and in another browser nobody. Raises DeadLink, Unavailable."""
    return _read(await _ask(redis, "GETDEL", acting_link_key(digest_of(token))), user_agent)


async def _ask(redis: Any, *command: Any) -> Any:
    try:
        return await within(_BUDGET_SECONDS, redis.execute_command(*command))
    except _AWAY:
        raise Unavailable("Redis cannot be reached, which keeps these links. Try again soon.") from None


def _read(kept: Any, user_agent: str) -> ActingLink:
    if not kept:
        raise DeadLink
    link = ActingLink.model_validate_json(kept)
    if link.browser != browser_of(user_agent):
        raise DeadLink
    return link

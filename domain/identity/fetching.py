"""Requests to providers: short, bounded, JSON or nothing."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from domain.faults import Fault

TIMEOUT = httpx2.Timeout(5.0)
LARGEST = 1_048_576


class Unanswered(Fault):
    """The provider cannot be reached, is too slow, or talks nonsense."""

    code = "elsewhere_away"

    def __init__(self) -> None:
        super().__init__("The other site does not answer now. Try again soon, or sign in another way.")


class BadAnswer(Exception):  # noqa: N818  it is told as a fault by who asked
    """The provider answered, and not what it takes. The text is a few words without secrets."""


async def ask(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
) -> Any:
    """What it answers, as JSON. Raises BadAnswer for a refusal (4xx), Unanswered for anything else."""
    try:
        async with client.stream(
            method, url, headers={"accept": "application/json", **(headers or {})}, data=data
        ) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise Unanswered
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
        raise Unanswered from None
    if 400 <= answer.status_code < 500:
        raise BadAnswer("the code was refused")
    if answer.status_code != 200:
        raise Unanswered
    try:
        return json.loads(body)
    except ValueError:
        raise Unanswered from None


def text_of(values: Any, name: str) -> str:
    """The text under that name; empty if there is none."""
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, str) else ""

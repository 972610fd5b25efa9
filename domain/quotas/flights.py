"""Calls of lease.lua to Redis: many organizations in one message, a few messages at a time, each within the budget.

Waiting for a flight is not Redis's time: a burst must not make local what can be exact.
"""

import asyncio
import hashlib
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from domain.quotas.account import Call
from domain.redis_client import Client, is_cluster, within

SCRIPT = resources.files(__package__).joinpath("lease.lua").read_text(encoding="utf-8")
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
# RuntimeError is what uvloop raises on writing to a connection that the server has just closed.
FAULTS = (RedisError, OSError, TimeoutError, RuntimeError)


async def load(client: Client, budget: float) -> None:
    """Make the server know the script. Raises what is in FAULTS."""
    await within(budget, client.execute_command("SCRIPT", "LOAD", SCRIPT))


async def ask(client: Client, calls: list[Call], budget: float) -> list[Any]:
    """An answer or an exception for each call, in at most `budget` seconds. Raises nothing but CancelledError."""
    try:
        return await within(budget, _run_all(client, [call.arguments for call in calls]))
    except Exception as fault:  # noqa: BLE001  who waits must hear of whatever it was
        return [fault] * len(calls)


async def _run_all(client: Client, calls: list[list[str | int]]) -> list[Any]:
    """A cluster's client has no pipeline that runs scripts."""
    if len(calls) == 1:
        return [await run(client, *calls[0])]
    if is_cluster(client):
        return await asyncio.gather(*(run(client, *arguments) for arguments in calls), return_exceptions=True)
    pipeline = client.pipeline(transaction=False)
    for arguments in calls:
        pipeline.execute_command("EVALSHA", _SHA, *arguments)
    answers = await pipeline.execute(raise_on_error=False)
    for position, answer in enumerate(answers):
        if isinstance(answer, NoScriptError):
            answers[position] = await run(client, *calls[position])
    return list(answers)


async def run(client: Client, *arguments: str | int) -> list[int]:
    """One call. A restarted server, or another node of a cluster, has not seen the script: EVAL runs it and keeps it."""
    try:
        answer: list[int] = await client.execute_command("EVALSHA", _SHA, *arguments)
    except NoScriptError:
        answer = await client.execute_command("EVAL", SCRIPT, *arguments)
    return answer

"""Every limit of the plan that counts the request, all or nothing. Refuses with 429; a refused request has consumed nothing (G1).

A warm request spends permits that this worker holds and waits for nobody. On outage: a bounded local limit decides,
never "unlimited" (G5); those rules live in `domain.quotas`.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from domain.journal.decision import Flag
from domain.quotas.limiter import Verdict
from domain.refusals import RateLimited, TooManyAtOnce
from domain.snapshots import LimitSnapshot

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def limit_rate(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.bucket`; `exchange.taken` once it is admitted; `exchange.verdict` where a bucket alone can't tell."""
    admission = exchange.admission
    bucket = admission.bucket if admission is not None else None
    if bucket is None:
        matched = exchange.matched
        operation = matched.operation
        bucket = exchange.services.limiter.bucket(
            exchange.key, exchange.plan, matched.service.id, operation.id if operation is not None else None
        )
        if admission is not None:
            admission.bucket = bucket
    exchange.bucket = bucket
    if bucket.take():
        exchange.taken = True
        if bucket.shadow_violated:
            exchange.shadowed = bucket.shadow_violated
        return None
    limiter = exchange.services.limiter
    verdict = limiter.decide(bucket)
    if verdict is not None:
        _accept(exchange, verdict)
        return None
    exchange.decided |= Flag.WAITED
    return _decide(exchange, limiter.wait(bucket))


async def _decide(exchange: "Exchange", pending: "Awaitable[Verdict]") -> None:
    verdict = asyncio.ensure_future(pending)
    try:
        await asyncio.wait((verdict,))
    except asyncio.CancelledError:
        _let_go(exchange, verdict)
        raise
    if exchange.finished:
        _let_go(exchange, verdict)
        return
    _accept(exchange, verdict.result())


def _let_go(exchange: "Exchange", verdict: "asyncio.Future[Verdict]") -> None:
    """The client left while its request waited: what it got goes back."""
    if not verdict.done():
        verdict.cancel()
    elif not verdict.cancelled() and verdict.result().allowed:
        bucket = exchange.bucket
        assert bucket is not None
        bucket.give_back(exchange.begun_ns / 1e9)


def described(limit: LimitSnapshot) -> str:
    """A windowed limit as callers are told of it: `1000 per hour`, `5 per minute (minute-key)`."""
    return f"{limit.amount} per {limit.period}" + ("" if limit.name == limit.period else f" ({limit.name})")


def _accept(exchange: "Exchange", verdict: Verdict) -> None:
    exchange.verdict, exchange.shadowed = verdict, verdict.shadow_violated
    if verdict.allowed:
        exchange.taken = True
        return
    windows = {window.name: window for window in verdict.windows}
    limits = {limit.name: limit for limit in exchange.plan.limits}
    # A cap has no time to name, so a window goes before it.
    first = windows[min(verdict.violated, key=lambda name: limits[name].period == "concurrent")]
    about: dict[str, Any] = {
        "violated_policies": list(verdict.violated),
        "retry_after_seconds": verdict.retry_after_seconds,
        "limit": first.limit,
    }
    if all(limits[name].period == "concurrent" for name in verdict.violated):
        raise TooManyAtOnce(f"{first.limit} requests may be in progress at a time ({first.name}).", **about)
    raise RateLimited(
        f"The limit of {described(limits[first.name])} is used up. Try again in {verdict.retry_after_seconds} s.",
        **about,
    )

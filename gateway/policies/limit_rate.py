"""Every limit that counts the request, all or nothing: the plan's, its quotas, spend caps. A refused request has consumed
nothing (G1).

A warm request spends permits that this worker holds and waits for nobody. On outage: a bounded local limit decides,
never "unlimited" (G5); those rules live in `domain.quotas`. When only quotas refuse and the plan lets organizations go
on with credits, the request takes everything else and is marked `overage`.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.journal.decision import Flag
from domain.quotas.costs import costs_of
from domain.quotas.limiter import Bucket, Verdict
from gateway.limit_refusals import refusal_of

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def limit_rate(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.bucket`; `exchange.taken_at` once it is admitted; `exchange.verdict` where a bucket alone can't tell."""
    admission = exchange.admission
    bucket = admission.bucket if admission is not None else None
    if bucket is None:
        bucket = _bucket_of(exchange)
        if admission is not None:
            admission.bucket = bucket
    return _take(exchange, bucket)


def _bucket_of(exchange: "Exchange") -> Bucket:
    key, plan, matched = exchange.key, exchange.plan, exchange.matched
    operation = matched.operation
    return exchange.services.limiter.bucket(
        key,
        plan,
        matched.service.id,
        operation.id if operation is not None else None,
        *costs_of(key, plan, operation),
    )


def _take(exchange: "Exchange", bucket: Bucket) -> Awaitable[None] | None:
    exchange.bucket = bucket
    if bucket.take():
        exchange.taken_at = bucket.taken_at
        if bucket.shadow_violated:
            exchange.shadowed = bucket.shadow_violated
        return None
    limiter = exchange.services.limiter
    verdict = limiter.decide(bucket)
    if verdict is not None:
        return _accept(exchange, bucket, verdict)
    exchange.decided |= Flag.WAITED
    return _decide(exchange, bucket, limiter.wait(bucket))


async def _decide(exchange: "Exchange", bucket: Bucket, pending: "Awaitable[Verdict]") -> None:
    verdict = asyncio.ensure_future(pending)
    try:
        await asyncio.wait((verdict,))
    except asyncio.CancelledError:
        _let_go(bucket, verdict)
        raise
    if exchange.finished:
        _let_go(bucket, verdict)
        return
    later = _accept(exchange, bucket, verdict.result())
    if later is not None:
        await later


def _let_go(bucket: Bucket, verdict: "asyncio.Future[Verdict]") -> None:
    """The client left while its request waited: what it got goes back."""
    if not verdict.done():
        verdict.cancel()
    elif not verdict.cancelled() and verdict.result().allowed:
        bucket.give_back(verdict.result().taken_at)


def _accept(exchange: "Exchange", bucket: Bucket, verdict: Verdict) -> Awaitable[None] | None:
    if bucket.beyond is not None and bucket.goes_beyond(verdict.violated):
        exchange.decided |= Flag.OVERAGE
        return _take(exchange, bucket.beyond)
    exchange.verdict, exchange.shadowed = verdict, verdict.shadow_violated
    if not verdict.allowed:
        raise refusal_of(bucket, verdict)
    exchange.taken_at = verdict.taken_at
    return None

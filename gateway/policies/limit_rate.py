"""Every window of the plan, all or nothing. Refuses with 429; a refused request has consumed nothing (G1).

On outage: a bounded local limit decides, never "unlimited" (G5); that rule lives in `domain.quotas`.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from domain.quotas.limiter import Verdict
from domain.refusals import RateLimited

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def limit_rate(exchange: "Exchange") -> Awaitable[None] | None:
    """Set `exchange.verdict`, also where it refuses."""
    verdict = exchange.services.limiter.consume(exchange.key, exchange.plan)
    if isinstance(verdict, Verdict):
        _accept(exchange, verdict)
        return None
    return _decide(exchange, verdict)


async def _decide(exchange: "Exchange", pending: Awaitable[Verdict]) -> None:
    _accept(exchange, await pending)


def _accept(exchange: "Exchange", verdict: Verdict) -> None:
    exchange.verdict = verdict
    if verdict.allowed:
        return
    windows = {window.name: window for window in verdict.windows}
    first = windows[verdict.violated[0]]
    raise RateLimited(
        f"The limit of {first.limit} per {first.name} is used up. Try again in {verdict.retry_after_seconds} s.",
        violated_policies=list(verdict.violated),
        retry_after_seconds=verdict.retry_after_seconds,
        limit=first.limit,
    )

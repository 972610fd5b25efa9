"""Asking a limiter in tests, whether it answers at once or not."""

from domain.quotas.limiter import Limiter, Verdict
from domain.snapshots import KeySnapshot, PlanSnapshot


async def consume(limiter: Limiter, caller: KeySnapshot, sold: PlanSnapshot) -> Verdict:
    """One request's verdict. Its slots, if it took any, are never given back."""
    pending = limiter.consume(caller, sold)
    return pending if isinstance(pending, Verdict) else await pending

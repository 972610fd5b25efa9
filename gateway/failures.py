"""What an upstream's failure is called towards the caller, pure."""

from domain.refusals import Overloaded, Refusal, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from gateway.ends import UpstreamFailure

_TOO_SLOW = frozenset(("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout"))


def refusal_of(failure: UpstreamFailure) -> Refusal:
    """502 where the upstream can't be reached or answers badly, 504 where it is too slow, 503 where it has no room."""
    if failure.kind in _TOO_SLOW:
        return UpstreamTimeout(internal=failure.internal)
    if failure.kind == "connect":
        return UpstreamUnreachable(internal=failure.internal)
    if failure.kind == "overloaded":
        return Overloaded(internal=failure.internal, retry_after_seconds=1)
    return UpstreamBroken(internal=failure.internal)

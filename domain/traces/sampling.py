"""Which requests leave spans: decided once, before the upstream hears of the request, and then only written down.

A share is taken by the last seven bytes of the request's id, which are random (the number that W3C's level 2 and
OpenTelemetry's consistent sampling look at), not by a trace id that a caller may have chosen.
"""

from typing import NamedTuple, Self

from domain.trace_settings import TraceSettings

_STEPS = 1 << 56
_NEVER = b"\xff" * 8
_RANDOM = slice(9, 16)
_SAMPLED = 1


class Sampler(NamedTuple):
    """`threshold`: random bytes that reach it are sampled. `heeds_parent`: the caller's own decision counts."""

    threshold: bytes
    heeds_parent: bool

    @classmethod
    def of(cls, settings: TraceSettings) -> Self | None:
        """What the settings say; None while there are no traces."""
        if not settings.url:
            return None
        _, heeds_parent, kind = settings.traces_sampler.rpartition("parentbased_")
        share = {"always_on": 1.0, "always_off": 0.0}.get(kind, settings.traces_sampler_arg)
        return cls(_threshold(share), bool(heeds_parent))

    def begins(self, request_id: bytes) -> bool:
        """Whether a request without a caller's trace is sampled. `request_id` is 16 bytes."""
        return request_id[_RANDOM] >= self.threshold

    def goes_on(self, request_id: bytes, flags: bytes) -> bool:
        """Whether one with a caller's trace is; `flags` are two hexadecimal digits."""
        return bool(int(flags, 16) & _SAMPLED) if self.heeds_parent else self.begins(request_id)


def _threshold(share: float) -> bytes:
    left_out = round((1.0 - share) * _STEPS)
    return _NEVER if left_out >= _STEPS else left_out.to_bytes(7)

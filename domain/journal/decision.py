"""The decision trace: why a request was admitted or refused, as the bytes that its record carries.

What is the same for all requests of a plan is made once (`DecisionForm`); the rest is one struct. Readers get names from
the database: here are only ids and the numbers of that moment.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple
from uuid import UUID

from domain.snapshots import NO_ID, LimitSnapshot

VERSION = 1
MOST_LIMITS = 16
"""Limits of one decision that are traced; more are left out, never the request."""

_HEAD = "=BBBBHHHHQ"
_HEAD_BYTES = struct.calcsize(_HEAD)
_FORMATS = tuple(struct.Struct(f"{_HEAD}{2 * count}q") for count in range(MOST_LIMITS + 1))
SHADOW_AT, SHADOW_END, NO_LIMITS = 8, 10, bytes(2)
"""Where a trace says which shadow limits had no room, and what stands there if all had."""
_PLAN_BYTES = 16
_LIMIT = struct.Struct("=16sq")


class Step(IntEnum):
    """How far a request came: the step that refused it, or the last one. Numbers are in records; the order is `ORDER`."""

    ADMIT = 0
    ROUTE = 1
    KEY = 2
    CONFINE = 3
    ACCESS = 4
    LIMIT = 5
    CHARGE = 6
    FORWARD = 7
    ANSWER = 8
    REPEAT = 9


ORDER = (
    Step.ADMIT, Step.ROUTE, Step.KEY, Step.CONFINE, Step.ACCESS, Step.LIMIT, Step.REPEAT, Step.CHARGE, Step.FORWARD,
    Step.ANSWER,
)  # fmt: skip
"""The steps as `gateway.chain` takes them."""


class KeyFault(IntEnum):
    """Why a key was not accepted; callers are never told which."""

    NONE = 0
    MISSING = 1
    UNKNOWN = 2
    REVOKED = 3
    EXPIRED = 4


class Flag(IntFlag):
    """How it was decided. Without WAITED, LOCAL and NO_LIMITS: from leased permits, asking nobody."""

    WAITED = 1
    """Redis was asked while the request waited."""
    LOCAL = 2
    """Redis did not answer: from this worker's bounded share."""
    COLD_KEY = 4
    """The key was read from the database."""
    RECALLED = 8
    """Other workers were asked to give permits back."""
    BEGAN = 16
    """What was known when the answer began to stream; no end was recorded."""
    LEDGER = 32
    """The ledger of credits was asked while the request waited."""
    OVERAGE = 64
    """Beyond the quotas of its plan, and so paid with credits."""
    KEYED = 128
    """The database was asked for its Idempotency-Key while the request waited."""
    REPLAYED = 256
    """Answered with the outcome of an earlier request under its Idempotency-Key."""


class TracedLimit(NamedTuple):
    """One limit at that moment, this request counted. `violated` and `shadow_violated`: this one had no room."""

    limit_id: UUID
    amount: int
    remaining: int
    reset_seconds: int
    violated: bool
    shadow_violated: bool


class Decision(NamedTuple):
    """A trace read back. `plan_id` is None if it never came to a plan.

    `lease_id` is the holder of the leases, one for each worker's life (in hexadecimal its name in Redis); 0: none asked.
    """

    step: Step
    key_fault: KeyFault
    flags: Flag
    lease_id: int
    plan_id: UUID | None
    limits: tuple[TracedLimit, ...]


class DecisionForm:
    """The constant part for one plan and its limits, in the order in which their numbers come."""

    __slots__ = ("_bits", "_constant", "_count", "_pack")

    def __init__(self, plan_id: UUID = NO_ID, limits: Sequence[LimitSnapshot] = ()) -> None:
        traced = limits[:MOST_LIMITS]
        self._count = len(traced)
        self._pack = _FORMATS[self._count].pack
        self._constant = plan_id.bytes + b"".join(_LIMIT.pack(limit.id.bytes, limit.amount) for limit in traced)
        self._bits = {limit.name: 1 << place for place, limit in enumerate(traced)}

    def pack(
        self,
        step: int,
        key_fault: int,
        flags: int,
        lease_id: int,
        numbers: Sequence[int],
        violated: Iterable[str] = (),
        shadow_violated: Iterable[str] = (),
    ) -> bytes:
        """The trace. `numbers` are remaining and reset seconds of each limit; the others are names of limits."""
        count = self._count
        if len(numbers) != 2 * count:
            numbers = (*numbers[: 2 * count], *(0,) * (2 * count - len(numbers)))
        return (
            self._pack(
                VERSION, step, key_fault, count, flags,
                self._mask(violated) if violated else 0,
                self._mask(shadow_violated) if shadow_violated else 0,
                0, lease_id, *numbers,
            )
            + self._constant
        )  # fmt: skip

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= self._bits.get(name, 0)
        return mask


def shadow_limits(trace: bytes) -> list[UUID]:
    """The shadow limits that had no room."""
    decision = unpack_decision(trace)
    return [] if decision is None else [limit.limit_id for limit in decision.limits if limit.shadow_violated]


def unpack_decision(trace: bytes) -> Decision | None:
    """Read a trace back; None if it is of another version or not whole."""
    if len(trace) < _HEAD_BYTES + _PLAN_BYTES or trace[0] != VERSION:
        return None
    _, step, key_fault, count, flags, violated, shadow_violated, _, lease_id = struct.unpack_from(_HEAD, trace)
    constant = _HEAD_BYTES + 16 * count
    if count > MOST_LIMITS or len(trace) != constant + _PLAN_BYTES + _LIMIT.size * count:
        return None
    numbers = _FORMATS[count].unpack_from(trace)[-2 * count :] if count else ()
    plan_id = UUID(bytes=trace[constant : constant + _PLAN_BYTES])
    limits = tuple(
        TracedLimit(
            UUID(bytes=limit_id),
            amount,
            numbers[2 * place],
            numbers[2 * place + 1],
            bool(violated >> place & 1),
            bool(shadow_violated >> place & 1),
        )
        for place, (limit_id, amount) in enumerate(_LIMIT.iter_unpack(trace[constant + _PLAN_BYTES :]))
    )
    return Decision(
        Step(step), KeyFault(key_fault), Flag(flags), lease_id, None if plan_id == NO_ID else plan_id, limits
    )

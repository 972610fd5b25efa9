"""What the decision trace says of an exchange: how far it came, and the numbers of its limits at that moment."""

from typing import TYPE_CHECKING, Any

from domain import refusals
from domain.journal.decision import DecisionForm, Flag, KeyFault, Step
from domain.refusals import Refusal
from domain.snapshots import LimitSnapshot, PlanSnapshot

if TYPE_CHECKING:
    from gateway.exchange import Exchange

_REFUSED_AT: dict[type[Refusal], Step] = {
    refusals.UnknownRoute: Step.ROUTE,
    refusals.ServiceDisabled: Step.ROUTE,
    refusals.AmbiguousCredentials: Step.KEY,
    refusals.InvalidKey: Step.KEY,
    refusals.TooManyBadKeys: Step.KEY,
    refusals.CannotDecide: Step.KEY,
    refusals.KeyInQuery: Step.CONFINE,
    refusals.OrganizationSuspended: Step.ACCESS,
    refusals.NoSubscription: Step.ACCESS,
    refusals.PlanTooLow: Step.ACCESS,
    refusals.ScopeMissing: Step.ACCESS,
    refusals.AddressNotAllowed: Step.ACCESS,
    refusals.RateLimited: Step.LIMIT,
    refusals.TooManyAtOnce: Step.LIMIT,
    refusals.QuotaExceeded: Step.LIMIT,
    refusals.SpendCapReached: Step.LIMIT,
    refusals.InvalidIdempotencyKey: Step.REPEAT,
    refusals.StillRunning: Step.REPEAT,
    refusals.OutcomeNotKept: Step.REPEAT,
    refusals.IdempotencyMismatch: Step.REPEAT,
    refusals.OutOfCredits: Step.CHARGE,
    refusals.TooManyJobs: Step.CHARGE,
}
_KEY_FAULTS = {fault.name.lower(): fault.value for fault in KeyFault if fault}
"""By what the refusal of a key says to the operator."""
_MOST_REMEMBERED = 1_024
_ANSWER = int(Step.ANSWER)
_WITHOUT_LIMITS = DecisionForm()
_forms: dict[int, tuple[Any, DecisionForm]] = {}
"""By the identity of the limits, or of a plan without any, which are kept so that it stays theirs."""


def trace_of(exchange: "Exchange", refusal: Refusal | None, *, begun: bool = False) -> bytes:
    """The trace as bytes."""
    step = _ANSWER if exchange.first_byte_ns else step_of(exchange, refusal)
    flags = exchange.decided | (Flag.BEGAN if begun else 0)
    bucket, verdict = exchange.bucket, exchange.verdict
    if bucket is None:
        return _WITHOUT_LIMITS.pack(
            step, _KEY_FAULTS.get(refusal.internal, 0) if refusal is not None else 0, flags, 0, ()
        )
    form, lease_id = _form(bucket.plan, bucket.limits), exchange.services.limiter.lease_id
    if verdict is None:
        return form.pack(step, 0, flags, lease_id, exchange.figures or bucket.numbers(), (), exchange.shadowed)
    flags |= Flag.LOCAL if verdict.source == "local" else 0
    numbers = [figure for window in verdict.windows for figure in (window.remaining, window.reset_seconds)]
    return form.pack(step, 0, flags, lease_id, numbers, verdict.violated, exchange.shadowed)


def step_of(exchange: "Exchange", refusal: Refusal | None) -> Step:
    """The step that refused, or the last one."""
    if exchange.first_byte_ns:
        return Step.ANSWER
    if exchange.sent_ns:
        return Step.FORWARD
    # The idempotency key is looked for before credits are held.
    of_repeat = exchange.decided & Flag.KEYED and not exchange.decided & Flag.LEDGER
    if refusal is None:
        # Answered without an upstream, or left while it was decided.
        return Step.REPEAT if of_repeat else Step.ROUTE if exchange.identity is None else Step.LIMIT
    if refusal.__class__ is refusals.MalformedRequest:
        return Step.ROUTE if exchange.identity is None else Step.CONFINE
    known = _REFUSED_AT.get(refusal.__class__)
    if known is Step.KEY and exchange.bucket is not None:
        # The key was known; what could not be decided came later.
        known = Step.REPEAT if of_repeat else Step.CHARGE
    if known is not None:
        return known
    return Step.FORWARD if exchange.taken else Step.ACCESS


def _form(plan: PlanSnapshot, limits: tuple[LimitSnapshot, ...]) -> DecisionForm:
    # Without limits there is one empty tuple for all plans.
    owner: Any = limits or plan
    known = _forms.get(id(owner))
    if known is not None and known[0] is owner:
        return known[1]
    if len(_forms) >= _MOST_REMEMBERED:
        _forms.clear()
    form = DecisionForm(plan.id, limits)
    _forms[id(owner)] = owner, form
    return form

"""One organization on both sides: under the terms that hold for it now, and under the draft's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from domain.cost_formulas import formula_of
from domain.entitlements import effective_limits
from domain.ingesting.grains import EVERY
from domain.limit_overrides import holding
from domain.log_store.store import LogStore
from domain.plan_terms import PlanTerms, snapshot_of
from domain.plan_versions import terms_of
from domain.prices import price_micro, quota_cost
from domain.quotas.costs import CREDITS, QUOTA
from domain.quotas.periods import month_bounds
from domain.snapshots import LimitSnapshot, PlanSnapshot, ServiceSnapshot
from domain.what_if.counters import SECOND
from domain.what_if.drafts import Draft
from domain.what_if.history import Rolled, Used, used_between
from domain.what_if.pricing import Asked, Offers, is_replayable, offers_of, operation_of
from domain.what_if.purses import Purse
from domain.what_if.results import Impact, LimitImpact, Range, Sample, Standing
from domain.what_if.rollup_bounds import Estimate, estimate
from domain.what_if.scopes import Subject
from domain.what_if.sides import OUT_OF_CREDITS, Side

SAMPLES = 5
"""Of each organization."""
_DRAFTS = UUID("a6a0f2c4-50b5-4a0c-8f5b-5f3a2f6f1d46")


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one organization on each side, and what it had taken of its month before the first request."""

    now: PlanSnapshot
    draft: PlanSnapshot
    now_cents: int
    currency: str
    drafted: Draft
    now_offers: Offers
    draft_offers: Offers
    used: Sequence[Used]
    since: datetime


class TermsNow:
    """Reads terms, each once. `seen` collects what notes are about."""

    def __init__(self, connection: Any, draft: Draft, logs: LogStore) -> None:
        self._connection, self._draft, self._logs = connection, draft, logs
        self._now_offers, self._draft_offers = offers_of(draft.present), offers_of(draft.services)
        self._held: dict[tuple[UUID, UUID | None], PlanTerms] = {}
        self.seen: set[str] = set()
        self.any_formula = self._look_at_formulas()

    async def of(self, subject: Subject, now: datetime, since: datetime) -> Terms:
        """Both sides of one organization; `since` is when its first request may be."""
        which = subject.plan_id, subject.plan_version_id
        held = self._held.get(which)
        if held is None:
            held = self._held[which] = await terms_of(self._connection, *which)
        plan_now = _effective(subject, subject.plan_id, subject.plan_slug, held, now)
        draft_id = uuid5(_DRAFTS, self._draft.slug)
        plan_draft = _effective(subject, draft_id, self._draft.slug, self._draft.terms, now)
        if holding(subject.overrides, now.timestamp()):
            self.seen.add("overrides")
        if held.currency != self._draft.terms.currency:
            self.seen.add("currencies")
        used = await self._used(subject, (plan_now, plan_draft), since, now)
        return Terms(
            now=plan_now,
            draft=plan_draft,
            now_cents=held.price_cents,
            currency=held.currency,
            drafted=self._draft,
            now_offers=self._now_offers,
            draft_offers=self._draft_offers,
            used=used,
            since=since,
        )

    async def _used(
        self, subject: Subject, plans: Sequence[PlanSnapshot], since: datetime, now: datetime
    ) -> Sequence[Used]:
        """Nothing where no month is counted, or one begins with the replay."""
        own = [cap for caps in subject.own_caps.values() for cap in caps]
        months = [limit for plan in plans for limit in plan.limits if limit.period == "month"]
        months += [cap for cap in (*subject.key.spend_caps, *own) if cap.period == "month"]
        begun = datetime.fromtimestamp(month_bounds(subject.key.month_anchor, since.timestamp())[1], UTC)
        if not months or begun >= since:
            return ()
        by_key = any(limit.scope == "key" for limit in months)
        return await used_between(self._connection, subject.id, begun, since, now, self._logs, by_key=by_key)

    def _look_at_formulas(self) -> bool:
        """Whether some operation has one that needs texts of the log."""
        found = False
        for _, operation in (*self._now_offers.values(), *self._draft_offers.values()):
            if operation.reserved:
                self.seen.add("reserved")
            if not operation.cost_formula:
                continue
            formula = formula_of(operation.cost_formula, operation.path_pattern)
            found = True
            if formula is not None and not is_replayable(formula):
                missing = ", ".join(field.label for field in formula.fields if field.source in {"header", "answer"})
                self.seen.add(f"formula {operation.name} {missing}")
        return found


class Replayed:
    """One organization under way: `estimate` at most once, then `ask` in the order of time, then `impact`.

    `complete` is False where the run was cut before its last request.
    """

    def __init__(self, subject: Subject, terms: Terms, balance: int, moved: Sequence[tuple[int, int]]) -> None:
        self._subject, self._terms = subject, terms
        self.complete = True
        self.asked = self._recorded_refused = self._recorded_spent = 0
        self._samples: list[Sample] = []
        self._estimated = Range()
        self._estimates: tuple[Estimate, Estimate] | None = None
        draft, anchor = terms.drafted, subject.key.month_anchor
        self._now = self._side(terms.now, draft.present, terms.now_offers, Purse(balance, moved))
        purse = Purse(balance, moved, draft.included_micro, anchor)
        self._draft = self._side(terms.draft, draft.services, terms.draft_offers, purse)

    def _side(self, plan: PlanSnapshot, services: Mapping[UUID, ServiceSnapshot], offers: Offers, purse: Purse) -> Side:
        return Side(
            self._subject.key,
            plan,
            services,
            offers,
            purse,
            usual=self._terms.now,
            usual_offers=self._terms.now_offers,
            own_caps=self._subject.own_caps,
            opening=self._opening,
        )

    def _opening(self, limit: LimitSnapshot, key_id: UUID | None, plan: PlanSnapshot) -> tuple[int, int]:
        """What was taken of a month before: as the data plane would read it from the rollups."""
        taken = 0
        offers = self._terms.draft_offers if plan is self._terms.draft else self._terms.now_offers
        for used in self._terms.used:
            fits = limit.service_id in {None, used.service_id} and limit.operation_id in {None, used.operation_id}
            if fits and (key_id is None or used.key_id in {key_id, EVERY}):
                taken += _permits(limit, used, plan, offers)
        return int(self._terms.since.timestamp()) * SECOND, taken

    def estimate(self, rows: Sequence[Rolled]) -> None:
        """Take in what only rollups know."""
        if not rows:
            return
        key, terms = self._subject.key, self._terms
        requests, refused = sum(row.requests for row in rows), sum(row.refused for row in rows)
        self._estimated = Range(requests - refused, requests)
        self._recorded_refused += refused
        self._recorded_spent += sum(row.cost_micro for row in rows)
        self._estimates = (
            estimate(rows, key, terms.now, terms.drafted.present, terms.now_offers),
            estimate(rows, key, terms.draft, terms.drafted.services, terms.draft_offers),
        )

    def ask(self, asked: Asked) -> None:
        """One request of the log, on both sides."""
        self.asked += 1
        self._recorded_spent += asked.cost_micro
        let_through = asked.answered
        if not let_through:
            self._recorded_refused += 1
        self._now.ask(asked)
        if not self._draft.ask(asked) and let_through and len(self._samples) < SAMPLES:
            self._samples.append(Sample(asked.id, _moment(asked.begun_us), self._draft.last_refused_by))

    def impact(self) -> Impact:
        """What it came to."""
        subject, terms = self._subject, self._terms
        estimates = self._estimates or (None, None)
        return Impact(
            organization_id=subject.id,
            slug=subject.key.organization_slug,
            name=subject.name,
            plan=subject.plan_slug,
            asked=Range(self.asked, self.asked).plus(self._estimated),
            estimated=self._estimated.most,
            recorded_refused=self._recorded_refused,
            recorded_spent=self._recorded_spent,
            now=_standing(self._now, estimates[0], terms.now_cents),
            draft=_standing(self._draft, estimates[1], terms.drafted.terms.price_cents),
            currency=terms.currency,
            limits=self._limits(estimates[1]),
            first_refused_at=_perhaps(min(self._draft.first.values(), default=None)),
            out_of_credits_at=_perhaps(self._draft.purse.emptied_at),
            samples=tuple(self._samples),
        )

    def _limits(self, guess: Estimate | None) -> tuple[LimitImpact, ...]:
        side = self._draft
        shadows = {limit.name: limit.shadow for limit in self._terms.draft.limits}
        by_name = guess.refused_by if guess is not None else {}
        names = dict.fromkeys([*shadows, *side.refused_by, *by_name])
        found = []
        for name in names:
            shadow = shadows.get(name, False)
            number = side.over[name] if shadow else side.refused_by[name]
            refused = Range(number, number).plus(by_name.get(name, Range()))
            if refused.most or name in shadows:
                begun, most = side.busiest.get(name, (None, 0))
                first = _perhaps(side.first.get(name))
                found.append(LimitImpact(name, shadow, refused, first, _perhaps(begun), most))
        return tuple(sorted(found, key=lambda one: -one.refused.most))


def _effective(subject: Subject, plan_id: UUID, slug: str, terms: PlanTerms, now: datetime) -> PlanSnapshot:
    plan = snapshot_of(plan_id, slug, slug, 0, terms)
    trial_calls = terms.trial_calls if subject.trialing else None
    limits = effective_limits(plan.limits, plan_id, holding(subject.overrides, now.timestamp()), trial_calls)
    return snapshot_of(plan_id, slug, slug, 0, _with_limits(terms, limits))


def _with_limits(terms: PlanTerms, limits: tuple[LimitSnapshot, ...]) -> PlanTerms:
    return PlanTerms(
        limits, terms.overage, terms.prices, terms.quota_costs, terms.price_cents, terms.currency, terms.trial_days,
        terms.trial_calls, terms.grace_days,
    )  # fmt: skip


def _permits(limit: LimitSnapshot, used: Used, plan: PlanSnapshot, offers: Offers) -> int:
    """What these requests took of a limit. Those that were paid for with credits took no units."""
    if limit.unit == CREDITS:
        return used.cost_micro
    if limit.unit != QUOTA:
        return used.requests
    operation = operation_of(offers, used.operation_id)
    price = price_micro(plan, operation)
    paid = used.cost_micro // price if price else 0
    return max(0, used.requests - paid) * quota_cost(plan, operation)


def _standing(side: Side, guess: Estimate | None, cents: int) -> Standing:
    refused, spent = Range(side.refused, side.refused), Range(side.purse.spent, side.purse.spent)
    if guess is not None:
        refused, spent = refused.plus(guess.refused), spent.plus(guess.spent)
    return Standing(refused, spent, cents, int(OUT_OF_CREDITS in side.refused_by))


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at // SECOND, UTC).replace(microsecond=at % SECOND)


def _perhaps(at: int | None) -> datetime | None:
    return None if at is None else _moment(at)

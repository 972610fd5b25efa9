"""Why a request was admitted or refused: its decision trace in plain words, with names from the database as they are now."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from domain.credit_amounts import credits_text
from domain.entitlements import trial_limit
from domain.journal.decision import ORDER, Decision, Flag, KeyFault, Step, TracedLimit, unpack_decision
from domain.limit_texts import LimitSpec
from domain.log_reading import LogEntry, LogFilter
from domain.log_store.store import LogStore
from domain.refusals import ALL
from domain.spend_caps import IDS, NAMES

_TITLES = {refusal.code: refusal.title for refusal in ALL}
_NAMES = {
    Step.ADMIT: "journal", Step.ROUTE: "route", Step.KEY: "key", Step.CONFINE: "confine", Step.ACCESS: "access",
    Step.LIMIT: "limits", Step.REPEAT: "idempotency", Step.CHARGE: "credits", Step.FORWARD: "upstream", Step.ANSWER: "answer",
}  # fmt: skip
_KEY_FAULTS = {
    KeyFault.MISSING: "no key, or nothing that has a key's form, was sent",
    KeyFault.UNKNOWN: "no such key is known",
    KeyFault.REVOKED: "the key is revoked",
    KeyFault.EXPIRED: "the key has expired",
}
_PLAN = "select slug from plan where id = $1"
# A limit that the plan no longer has may be one of the terms that the customer bought.
_LIMITS = """
with terms as (
    select id, name, amount, period, scope, shadow, service_id, operation_id, unit, 0 as age
    from plan_limit where id = any($1)
    union all
    select l.*, v.number from plan_version v, jsonb_to_recordset(v.terms->'limits') as l (
        id uuid, name text, amount bigint, period text, scope text, shadow boolean, service_id uuid, operation_id uuid, unit text)
    where v.plan_id = $2 and l.id = any($1))
select distinct on (l.id)
       l.id, l.name, l.amount, l.period, l.scope, l.shadow, s.slug as service, o.name as operation, l.unit
  from terms l left join service s on s.id = l.service_id left join operation o on o.id = l.operation_id
 order by l.id, l.age
"""


@dataclass(frozen=True, slots=True)
class ExplainedLimit:
    """One limit at that moment. `name` and `text` are None if it was deleted since; `amount` is that of then.

    `verdict` is room, exceeded, or exceeded-shadow (counted and reported, not enforced).
    """

    name: str | None
    text: str | None
    amount: int
    remaining: int
    reset_seconds: int
    shadow: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One step: `verdict` is passed, refused, failed, left (by the client), or not-reached."""

    step: str
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it. `traced` is False for a row without a trace that can be read; then only its outcome is explained.

    `source` says where permits came from: lease, redis, local, none. `lease_id` is that of the last grant, 0 without.
    """

    request: LogEntry
    admitted: bool
    summary: str
    steps: list[ExplainedStep]
    limits: list[ExplainedLimit]
    plan: str | None
    source: str
    lease_id: int
    cold_key: bool
    recalled: bool
    traced: bool


async def explain(connection: Any, request_id: UUID, logs: LogStore) -> Explanation | None:
    """Explain a request; None if it is in no log (any more)."""
    entries = await logs.newest(connection, LogFilter(request_id=request_id), 1)
    return await explain_entry(connection, entries[0], logs) if entries else None


async def explain_entry(connection: Any, entry: LogEntry, logs: LogStore) -> Explanation:
    """Explain the request of a row that was read."""
    trace = await logs.decision(connection, entry)
    decision = unpack_decision(trace) if trace else None
    plan, limits = None, []
    if decision is not None:
        plan = await connection.fetchval(_PLAN, decision.plan_id) if decision.plan_id else None
        ids = [one.limit_id for one in decision.limits]
        known = {row["id"]: row for row in await connection.fetch(_LIMITS, ids, decision.plan_id)}
        if decision.plan_id:
            of_trial = trial_limit(decision.plan_id, 0)
            known[of_trial.id] = {**asdict(of_trial), "service": None, "operation": None}
        limits = [_limit(one, known.get(one.limit_id)) for one in decision.limits]
    flags = decision.flags if decision else Flag(0)
    return Explanation(
        request=entry,
        admitted=entry.outcome != "refused",
        summary=_summary(entry, flags),
        steps=_steps(entry, decision, plan, limits) if decision else [],
        limits=limits,
        plan=plan,
        source=_source(decision),
        lease_id=decision.lease_id if decision else 0,
        cold_key=bool(flags & Flag.COLD_KEY),
        recalled=bool(flags & Flag.RECALLED),
        traced=decision is not None,
    )


def _limit(traced: TracedLimit, row: Any) -> ExplainedLimit:
    name, text = _cap(traced)
    if row is not None:
        target = row["service"], row["operation"]
        spec = LimitSpec(row["name"], traced.amount, row["period"], row["scope"], row["shadow"], *target, row["unit"])
        name, text = spec.name, f"{spec.text} (quota)" if spec.unit == "quota" else spec.text
    verdict = "exceeded" if traced.violated else "exceeded-shadow" if traced.shadow_violated else "room"
    return ExplainedLimit(
        name=name,
        text=text,
        amount=traced.amount,
        remaining=traced.remaining,
        reset_seconds=traced.reset_seconds,
        shadow=row["shadow"] if row is not None else traced.shadow_violated,
        verdict=verdict,
    )


def _cap(traced: TracedLimit) -> tuple[str | None, str | None]:
    """Name and text of a spend cap, which is no limit of a plan; None of a limit that is gone."""
    for (scope, period), limit_id in IDS.items():
        if limit_id == traced.limit_id:
            of = " of the key" if scope == "key" else ""
            return NAMES[scope, period], f"{credits_text(traced.amount)} credits/{period}{of}"
    return None, None


def _summary(entry: LogEntry, flags: Flag) -> str:
    if flags & Flag.REPLAYED and entry.outcome == "served":
        return f"Answered with the outcome of an earlier request under its Idempotency-Key: {entry.status}."
    why = f"{_TITLES.get(entry.refusal, entry.refusal)} ({entry.refusal})" if entry.refusal else ""
    return {
        "served": f"Admitted and served: {entry.status}.",
        "refused": f"Refused with {entry.status}: {why}.",
        "failed": f"Admitted, but the upstream failed, answered with {entry.status}: {why}.",
        "cut": "Admitted, but the answer was cut before its end.",
        "gone": "The client left before the end.",
    }.get(entry.outcome, entry.outcome)


def _steps(entry: LogEntry, decision: Decision, plan: str | None, limits: list[ExplainedLimit]) -> list[ExplainedStep]:
    texts = {
        Step.ADMIT: "there was room to write the request down",
        Step.ROUTE: _route(entry),
        Step.KEY: _key(entry, decision),
        Step.CONFINE: "the key stands nowhere else in the request",
        Step.ACCESS: f"organization, scopes and address allow it{f'; plan {plan}' if plan else ''}",
        Step.LIMIT: _limits(decision, limits),
        Step.REPEAT: _repeat(decision),
        Step.CHARGE: _charge(entry, decision),
        Step.FORWARD: _upstream(entry),
        Step.ANSWER: f"{entry.bytes_out} bytes in {entry.total_us / 1_000:.1f} ms",
    }
    # Most requests have no Idempotency-Key that anybody looked for.
    keyed = decision.step is Step.REPEAT or decision.flags & Flag.KEYED
    return [_step(step, texts[step], entry, decision) for step in ORDER if keyed or step is not Step.REPEAT]


def _step(step: Step, text: str, entry: LogEntry, decision: Decision) -> ExplainedStep:
    place, reached = ORDER.index(step), ORDER.index(decision.step)
    if place > reached:
        return ExplainedStep(_NAMES[step], "not-reached", "")
    if place < reached or entry.outcome == "served":
        return ExplainedStep(_NAMES[step], "passed", text)
    verdict = {"refused": "refused", "gone": "left"}.get(entry.outcome, "failed")
    if verdict == "refused" and step not in {Step.KEY, Step.LIMIT}:
        text = _TITLES.get(entry.refusal or "", entry.refusal or "").lower()
    elif verdict == "left":
        text = f"the client left; {text}"
    elif verdict == "failed" and entry.outcome == "cut":
        text = f"cut before its end; {text}"
    return ExplainedStep(_NAMES[step], verdict, text)


def _route(entry: LogEntry) -> str:
    if entry.service is None:
        return "no service is served under this path"
    return f"service {entry.service}, " + (
        f"operation {entry.operation}" if entry.operation else "no operation declared"
    )


def _key(entry: LogEntry, decision: Decision) -> str:
    whose = f" (key {entry.key} of {entry.organization})" if entry.key_id else ""
    if decision.key_fault:
        return f"{_KEY_FAULTS[decision.key_fault]}{whose}; the caller is told the same for every bad key"
    if not entry.key_id:
        return _TITLES.get(entry.refusal or "", "no key was looked for").lower()
    how = "read from the database" if decision.flags & Flag.COLD_KEY else "known to the worker"
    return f"key {entry.key} of {entry.organization}, {how}"


def _limits(decision: Decision, limits: list[ExplainedLimit]) -> str:
    if not limits:
        return "no limit applies"
    source = {
        "lease": f"from permits that the worker held (lease {decision.lease_id})"
        if decision.lease_id
        else "from held permits",
        "redis": f"Redis was asked (lease {decision.lease_id})" if decision.lease_id else "Redis was asked",
        "local": "Redis did not answer: decided by this worker's bounded share",
    }.get(_source(decision), "")
    over = [one.name or "a deleted limit" for one in limits if one.verdict == "exceeded"]
    shadow = [one.name or "a deleted limit" for one in limits if one.verdict == "exceeded-shadow"]
    parts = [f"used up: {', '.join(over)}" if over else f"{len(limits)} checked", source]
    if decision.flags & Flag.RECALLED:
        parts.append("other workers were asked to give permits back")
    if decision.flags & Flag.OVERAGE:
        parts.append("quotas are used up: only credits are left")
    if shadow:
        parts.append(f"over, but in shadow: {', '.join(shadow)}")
    return "; ".join(part for part in parts if part)


def _repeat(decision: Decision) -> str:
    if decision.flags & Flag.REPLAYED:
        return "an earlier request under the Idempotency-Key has an outcome"
    return "the first under its Idempotency-Key"


def _charge(entry: LogEntry, decision: Decision) -> str:
    text = f"{credits_text(entry.cost_micro)} credits" if entry.cost_micro else "costs no credits"
    return f"{text}; the ledger was asked" if decision.flags & Flag.LEDGER else text


def _upstream(entry: LogEntry) -> str:
    if entry.outcome == "failed" and entry.refusal:
        return _TITLES.get(entry.refusal, entry.refusal).lower()
    if entry.upstream_us is None:
        return "not called"
    return f"answered {entry.status} after {entry.upstream_us / 1_000:.1f} ms"


def _source(decision: Decision | None) -> str:
    if decision is None or decision.step < Step.LIMIT or not decision.limits:
        return "none"
    if decision.flags & Flag.LOCAL:
        return "local"
    return "redis" if decision.flags & Flag.WAITED else "lease"

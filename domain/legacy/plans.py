"""Plans of an older installation: each becomes one here, or stands for one that the operator names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import audit, plans
from domain.faults import InvalidValue
from domain.legacy.here import Known, known_rows
from domain.legacy.notes import Note, Outcome
from domain.legacy.old_rows import PLAN_COLUMNS, OldPlan, changed_columns
from domain.legacy.readable import amount, readable_name, usable_id
from domain.legacy.report import Line
from domain.limit_texts import LARGEST_AMOUNT, LimitSpec
from domain.names import slug_from
from domain.snapshots import NO_ID
from schema.legacy import LegacyKind

TABLE = "plans"
SUFFIX = "-v1"
"""What is put behind a slug that is taken here; then come numbers."""
_OPEN = LARGEST_AMOUNT + 1


@dataclass(frozen=True, slots=True)
class PlanHere:
    """A plan that older keys may have; `id` is NO_ID where a dry run did not make it. A higher `rank` allows more.

    `rank` is requests in a day and in an hour, `names` what the limits are called that say so; empty: there is none.
    """

    id: UUID
    slug: str
    rank: tuple[int, int]
    names: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class _Read:
    """A plan as it would be made. `rank` is by requests in a day, then in an hour."""

    name: str
    limits: list[LimitSpec]
    rank: tuple[int, int]
    notes: list[Note]


class PlanImport:
    """All plans of the older installation, in turn. `found` are those that keys may have, by their old ids."""

    def __init__(
        self,
        connection: Any,
        actor: audit.Actor,
        *,
        source: str,
        mapped: Mapping[str, str],
        per: str,
        repeated: frozenset[str],
        dry_run: bool,
    ) -> None:
        self._connection, self._actor = connection, actor
        self._source, self._mapped, self._per = source, mapped, per
        self._repeated, self._dry_run = repeated, dry_run
        self._slugs: dict[str, UUID] = {}
        self._known: dict[str, Known] = {}
        self.found: dict[str, PlanHere] = {}
        self.ids: set[str] = set()

    async def run(self, old_plans: list[OldPlan]) -> list[Line]:
        """Import them; what became of each. Raises NotFound for a plan that is mapped to none."""
        rows = await self._connection.fetch("select slug, id from plan")
        self._slugs = {row["slug"]: row["id"] for row in rows}
        self.ids = {plan.id for plan in old_plans if plan.id}
        self._known = await known_rows(self._connection, self._source, LegacyKind.PLAN, list(self.ids))
        for old_id, slug in self._mapped.items():
            made = await plans.fetch_plan(self._connection, slug)
            self.found[old_id] = PlanHere(made.id, slug, _rank_of(made.limits), _names_of(made.limits))
        return [await self._line(plan) for plan in old_plans]

    async def _line(self, plan: OldPlan) -> Line:
        shown = plan.id or ""
        if plan.id in self._mapped:
            return Line(TABLE, shown, Outcome.MAPPED, here=self._mapped[shown])
        if not usable_id(plan.id):
            return Line(TABLE, shown[:40], Outcome.SKIPPED, (Note.ID_UNUSABLE,))
        if plan.id in self._repeated:
            return Line(TABLE, shown, Outcome.SKIPPED, (Note.ID_REPEATED,))
        if plan.id in self._known:
            return await self._line_of_known(plan, self._known[shown])
        read = _read(plan, self._per)
        if isinstance(read, Note):
            return Line(TABLE, shown, Outcome.SKIPPED, (read,))
        slug = self._free_slug(shown)
        if slug != _slug_of(shown):
            read.notes.append(Note.SLUG_CHANGED)
        self._slugs[slug] = plan_id = NO_ID if self._dry_run else await self._make(plan, slug, read)
        self.found[shown] = PlanHere(plan_id, slug, read.rank, _names_of(read.limits))
        return Line(TABLE, shown, Outcome.IMPORTED, tuple(read.notes), here=slug)

    async def _line_of_known(self, plan: OldPlan, known: Known) -> Line:
        slug = next((slug for slug, plan_id in self._slugs.items() if plan_id == known.new_id), "")
        if slug:
            made = await plans.fetch_plan(self._connection, slug)
            self.found[plan.id or ""] = PlanHere(known.new_id, slug, _rank_of(made.limits), _names_of(made.limits))
        changed = tuple(changed_columns(PLAN_COLUMNS, known.fingerprint, plan.fingerprint))
        return Line(TABLE, plan.id or "", Outcome.CHANGED if changed else Outcome.PRESENT, changed=changed, here=slug)

    def _free_slug(self, old_id: str) -> str:
        stem = _slug_of(old_id)
        candidates = [stem, f"{stem}{SUFFIX}", *(f"{stem}{SUFFIX}-{n}" for n in range(2, len(self._slugs) + 3))]
        return next(slug for slug in candidates if slug not in self._slugs)

    async def _make(self, plan: OldPlan, slug: str, read: _Read) -> UUID:
        async with self._connection.transaction():
            # Not in the price list: it is for those who have it.
            made = await plans.create(self._connection, slug=slug, name=read.name, limits=read.limits, public=False)
            await self._connection.execute(
                "insert into legacy_row (source, kind, old_id, new_id, fingerprint) values ($1, 'plan', $2, $3, $4)",
                self._source,
                plan.id,
                made.id,
                plan.fingerprint,
            )
            thing = audit.Thing("plan", str(made.id), slug)
            after = {"source": self._source, "limits": [limit.text for limit in read.limits]}
            await audit.record(self._connection, self._actor, audit.Verb.CONFIG_IMPORT, thing, after=after)
        return made.id


def _read(plan: OldPlan, per: str) -> _Read | Note:
    """The plan as it would be here, or why it cannot be."""
    limits = []
    for period, text in (("hour", plan.hourly), ("day", plan.daily)):
        if text is None:
            continue
        try:
            limits.append(LimitSpec(period, amount(text), period, per))
        except InvalidValue:
            return Note.LIMIT_UNUSABLE
    if not limits:
        return Note.LIMITS_MISSING
    name, notes = readable_name(plan.name, _slug_of(plan.id or ""))
    return _Read(name, limits, _rank_of(limits), [*notes, *([Note.LIMIT_OPEN] if len(limits) == 1 else [])])


def _rank_of(limits: Any) -> tuple[int, int]:
    amounts = {spec.period: spec.amount for spec in _ranking(limits)}
    return amounts.get("day", _OPEN), amounts.get("hour", _OPEN)


def _names_of(limits: Any) -> tuple[str, str]:
    names = {spec.period: spec.name for spec in _ranking(limits)}
    return names.get("day", ""), names.get("hour", "")


def _ranking(limits: Any) -> list[Any]:
    return [spec for spec in limits if not spec.shadow and spec.unit == "requests"]


def _slug_of(old_id: str) -> str:
    made = slug_from(old_id)
    return "plan" if made == slug_from("") and made != old_id.lower() else made

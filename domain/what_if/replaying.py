"""What if this plan had been sold: the requests of the past days, asked again under today's terms and under a draft's.

Both sides are replayed by the same rules, so what differs comes of the terms alone; what happened in fact stands beside.
Where the log has rows, each request is asked in its order; where only rollups are left, bounds are given. One read-only
transaction sees all of it at one moment, and nothing is written.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, groupby
from operator import attrgetter
from time import monotonic
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue
from domain.log_store.store import LogStore
from domain.what_if.drafts import Draft
from domain.what_if.history import (
    Logged,
    about_rows,
    logged_from,
    numbers_of_rows,
    read_movements,
    read_rollups,
    read_rows,
)
from domain.what_if.notes import notes_of
from domain.what_if.organizations import Replayed, Terms, TermsNow
from domain.what_if.pricing import Asked
from domain.what_if.results import Impact, Totals, WhatIf
from domain.what_if.scopes import Scope, Subject, read_subjects, subject_ids

_IDS_AT_ONCE = 1_000
_ROWS_IN_ONE_SORT = 200_000

Progress = Callable[[int, int], None]
"""Is told how many rows are done, of how many."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How far one run goes; None: to the end. `impacts` is how many organizations are listed.

    A run is not begun where there are more than `counted` requests: to count and sort them takes longer than to ask them.
    """

    counted: int | None = None
    rows: int | None = None
    seconds: float | None = None
    impacts: int = 10_000

    def reached(self, rows: int, seconds: float) -> str:
        """Why it ends now, in words; empty: it goes on."""
        if self.rows is not None and rows >= self.rows:
            return f"It ended after {rows} requests, the most of one run."
        if self.seconds is not None and seconds >= self.seconds:
            return f"It ended after {self.seconds:g} seconds, the most of one run."
        return ""


WHOLE = Bound()


async def what_if(
    connection: Any,
    draft: Draft,
    scope: Scope,
    logs: LogStore,
    *,
    now: datetime,
    bound: Bound = WHOLE,
    progress: Progress | None = None,
) -> WhatIf:
    """Replay a scope against a draft. `connection` is not in a transaction. Raises InvalidValue, NotFound; InvalidValue too
    where there are more requests than the bound lets a run begin with.

    Organizations with the most requests go first, so that a run that is cut has them.
    """
    since, until = scope.span(now)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        run = _Run(connection, draft, logs, since, until, now, bound, progress)
        run.logged = await logged_from(connection, since, until, logs)
        ids = await subject_ids(connection, scope)
        if bound.counted is not None:
            _require_few(await about_rows(connection, ids, run.logged.exact_since, until, now), bound.counted)
        await run.replay(ids)
    return run.result()


class _Run:
    """One replay under way."""

    def __init__(
        self,
        connection: Any,
        draft: Draft,
        logs: LogStore,
        since: datetime,
        until: datetime,
        now: datetime,
        bound: Bound,
        progress: Progress | None,
    ) -> None:
        self._connection, self._draft, self._bound, self._now = connection, draft, bound, now
        self._logs = logs
        self._progress: Progress = progress or _untold
        self._since, self._until, self.logged = since, until, Logged(since, None)
        self._begun = monotonic()
        self._terms = TermsNow(connection, draft, logs)
        self._rows = self._whole = self._replayed = self._subjects = 0
        self._cut = ""
        self._totals = Totals()
        self._kept: list[tuple[tuple[int, int, int], int, Impact]] = []
        self._number = count()

    async def replay(self, ids: Sequence[UUID]) -> None:
        """All these organizations, or as many as the bound allows."""
        self._subjects = len(ids)
        numbers: dict[UUID, int] = {}
        if self.logged.exact_since < self._until:
            numbers = await numbers_of_rows(self._connection, ids, self.logged, self._until)
        self._whole = sum(numbers.values())
        ordered = sorted(ids, key=lambda each: (-numbers.get(each, 0), each))
        for batch in _batches(ordered, numbers):
            if self._is_over():
                break
            await self._replay_batch(batch, numbers)
        self._progress(self._rows, self._whole)

    async def _replay_batch(self, ids: Sequence[UUID], numbers: Mapping[UUID, int]) -> None:
        subjects = await read_subjects(self._connection, ids)
        replayed = await self._begun_with(subjects)
        asking = [each for each in ids if numbers.get(each)]
        if asking:
            await self._ask(replayed, asking)
        for one in replayed.values():
            if one.complete or one.asked:
                self._keep(one.impact())
                self._replayed += one.complete

    async def _begun_with(self, subjects: Mapping[UUID, Subject]) -> dict[UUID, Replayed]:
        changed, moved = await read_movements(self._connection, list(subjects), self.logged.exact_since)
        rollups: dict[UUID, list[Any]] = {}
        if self._since < self.logged.exact_since:
            rows = await read_rollups(
                self._connection, list(subjects), self._since, self.logged.exact_since, self._now, self._logs
            )
            rollups = {key: list(group) for key, group in groupby(rows, attrgetter("organization_id"))}
        begun = {}
        for organization_id, subject in subjects.items():
            balance = subject.balance - changed.get(organization_id, 0)
            terms: Terms = await self._terms.of(subject, self._now, self.logged.exact_since)
            begun[organization_id] = Replayed(subject, terms, balance, moved.get(organization_id, ()))
            begun[organization_id].estimate(rollups.get(organization_id, ()))
        return begun

    async def _ask(self, replayed: Mapping[UUID, Replayed], ids: Sequence[UUID]) -> None:
        """Rows come organization by organization."""
        last, formulas = 0, self._terms.any_formula
        ask = replayed[ids[0]].ask
        async for rows in read_rows(self._connection, ids, self.logged, self._until, formulas=formulas):
            for place, *values in rows:
                if place != last:
                    last, ask = place, replayed[ids[place - 1]].ask
                ask(Asked(*values))
            self._rows += len(rows)
            self._progress(self._rows, self._whole)
            if self._is_over():
                break
        else:
            return
        for organization_id in ids[last - 1 :]:
            replayed[organization_id].complete = False

    def _is_over(self) -> bool:
        if not self._cut and self._rows < self._whole:
            self._cut = self._bound.reached(self._rows, monotonic() - self._begun)
        return bool(self._cut)

    def _keep(self, impact: Impact) -> None:
        self._totals = self._totals.plus(impact)
        if not impact.asked.most and not impact.monthly_difference:
            return
        item = impact.weight, next(self._number), impact
        if len(self._kept) < self._bound.impacts:
            heapq.heappush(self._kept, item)
        else:
            heapq.heappushpop(self._kept, item)

    def result(self) -> WhatIf:
        """The answer, once all is replayed."""
        impacts = [impact for *_, impact in sorted(self._kept, key=lambda item: (item[0], -item[1]), reverse=True)]
        return WhatIf(
            draft=self._draft.slug,
            currency=self._draft.terms.currency,
            since=self._since,
            until=self._until,
            exact_since=self.logged.exact_since,
            totals=self._totals,
            impacts=tuple(impacts),
            left_off=self._totals.organizations - len(impacts),
            not_replayed=self._subjects - self._replayed,
            rows=self._rows,
            seconds=monotonic() - self._begun,
            cut=self._cut,
            notes=notes_of(self._draft, self._totals, self._terms.seen),
        )


def _require_few(number: int, most: int) -> None:
    if number > most:
        raise InvalidValue(
            f"These are about {number:,} requests, more than the {most:,} that a page goes through. Choose fewer days or fewer"
            " organizations; `paid-endpoint what-if` replays all of them."
        )


def _untold(done: int, whole: int) -> None:
    """Nobody wants to know."""
    del done, whole


def _batches(ids: Sequence[UUID], numbers: Mapping[UUID, int]) -> list[list[UUID]]:
    """Together they have few enough rows to be sorted at once, or they are one."""
    batches: list[list[UUID]] = []
    rows = 0
    for each in ids:
        number = numbers.get(each, 0)
        if not batches or len(batches[-1]) >= _IDS_AT_ONCE or rows + number > _ROWS_IN_ONE_SORT:
            batches.append([])
            rows = 0
        batches[-1].append(each)
        rows += number
    return batches

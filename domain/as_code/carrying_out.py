"""Making the database what a file says, through the domain's own functions: versions of plans and all checks hold."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from domain import operations, plans, services
from domain.as_code.differences import CREATED, Change, defaults_of
from domain.as_code.documents import Document, Entry, Id, described
from domain.as_code.fields import LIMIT_FIELDS
from domain.as_code.mistakes import Mistake
from domain.as_code.values import limit_of
from domain.faults import Fault, NotFound
from domain.limit_texts import LimitSpec
from domain.plan_prices import PriceSpec

_APART = {*LIMIT_FIELDS, "prices"}
_PARKED = "/parked-by-apply/"


Write = Callable[[Change], Awaitable[None]]


@dataclass(slots=True)
class _Writing:
    """Changes on their way into the database, and what is refused of them."""

    connection: Any
    document: Document
    mistakes: list[Mistake] = field(default_factory=list)
    refused: set[Id] = field(default_factory=set)

    async def together(
        self, changes: list[Change], write_all: Callable[[list[Change]], Awaitable[None]], write: Write
    ) -> None:
        """All of them in few statements; where something is refused, one by one, so that it is named."""
        try:
            async with self.connection.transaction():
                await write_all(changes)
        except (Fault, asyncpg.PostgresError):
            await self.one_by_one(changes, write)

    async def one_by_one(self, changes: list[Change], write: Write) -> None:
        """Each in its own savepoint; what the domain refuses, with its place."""
        for change in changes:
            try:
                async with self.connection.transaction():
                    await write(change)
            except Fault as fault:
                entry = self.document.entries.get(change.id, Entry(change.id))
                self.refused.add(change.id)
                named = re.match(r"\w*", str(fault))
                place = entry.place_of(named[0] if named else "")
                self.mistakes.append(Mistake(place, f"{described(change.id)}: {fault}"))


async def write_changes(
    connection: Any, changes: Iterable[Change], document: Document, present: Document, *, at_once: bool
) -> list[Mistake]:
    """Make the changes inside the caller's transaction; what the domain refuses, with its place. Roll back if any.

    Plans come first, without what refers to services; then services, operations, and last the limits and prices.
    """
    wanted = list(changes)
    writing = _Writing(connection, document)
    of_plans, of_services, of_operations = (
        [change for change in wanted if change.id[0] == kind] for kind in ("plan", "service", "operation")
    )
    new_plans = [change for change in of_plans if change.how == CREATED]
    await writing.together(new_plans, _each(partial(_create_plan, connection)), partial(_create_plan, connection))
    await _park_prefixes(connection, of_services, present)
    plan_ids = dict(await connection.fetch("select slug, id from plan")) if of_services or of_operations else {}
    await writing.together(
        of_services,
        partial(_write_services, connection, plan_ids),
        partial(_write_service, connection),
    )
    if of_operations:
        known = await _operations(connection)
        await writing.together(
            of_operations,
            partial(_write_operations, connection, known, plan_ids, at_once=at_once),
            partial(_write_operation, connection, known, at_once=at_once),
        )
    change_plan = partial(_change_plan, connection, present=present, at_once=at_once)
    kept = [change for change in of_plans if change.id not in writing.refused]
    await writing.together(kept, _each(change_plan), change_plan)
    return writing.mistakes


def _each(write: Write) -> Callable[[list[Change]], Awaitable[None]]:
    """One after the other, without savepoints between them."""

    async def write_all(changes: list[Change]) -> None:
        for change in changes:
            await write(change)

    return write_all


async def _create_plan(connection: Any, change: Change) -> None:
    values = {name: value for name, value in change.values.items() if name not in _APART and name != "active"}
    await plans.create(connection, slug=change.id[1], limits=[], **values)


async def _change_plan(connection: Any, change: Change, *, present: Document, at_once: bool) -> None:
    before = present.entries.get(change.id)
    known = before.values if before else defaults_of(change.id)
    merged = {**known, **change.values}
    limits: list[LimitSpec] | None = None
    if any(name in change.values for name in LIMIT_FIELDS):
        limits = [limit_of(field, name, text) for field in LIMIT_FIELDS for name, text in merged[field].items()]
    prices = _price_specs(known["prices"], merged["prices"])
    columns = {name: value for name, value in change.values.items() if name not in _APART} if before else {}
    if not before and not merged["active"]:
        columns = {"active": False}
    await plans.change(
        connection,
        change.id[1],
        limits=limits,
        prices=prices,
        at_once=at_once,
        no_trial_calls="trial_calls" in columns and columns["trial_calls"] is None,
        no_log_days="log_days" in columns and columns["log_days"] is None,
        **{name: value for name, value in columns.items() if name != "currency"},
    )


def _price_specs(before: dict[str, list[int | None]], after: dict[str, list[int | None]]) -> list[PriceSpec]:
    specs = []
    for key in {**before, **after}:
        service, _, operation = key.partition(" ")
        old, new = before.get(key, [None, None]), after.get(key, [None, None])
        # Amounts first: a row whose last amount is taken away is deleted.
        pairs = sorted(zip(("price_micro", "quota_cost"), old, new, strict=True), key=lambda pair: pair[2] is None)
        specs += [
            PriceSpec(service, operation, kind, amount, by_path=True) for kind, was, amount in pairs if was != amount
        ]
    return specs


async def _park_prefixes(connection: Any, changes: list[Change], present: Document) -> None:
    """Free the prefixes that services hand to each other; the unique constraint looks at every statement."""
    moving = {change.id: change for change in changes if change.id[0] == "service" and "prefix" in change.values}
    wanted = {change.values["prefix"] for change in moving.values()}
    for entry_id in moving:
        before = present.entries.get(entry_id)
        if before and before.values["prefix"] in wanted:
            await connection.execute(
                "update service set route_prefix = $2 || id::text where slug = $1", entry_id[1], _PARKED
            )


async def _write_service(connection: Any, change: Change) -> None:
    columns = dict(change.values)
    if "minimum_plan" in columns:
        columns["minimum_plan_id"] = await operations.plan_id_of(connection, columns.pop("minimum_plan"))
    if change.how == CREATED:
        await services.create(connection, slug=change.id[1], **columns)
    else:
        await services.update(connection, change.id[1], **columns)


async def _write_services(connection: Any, plan_ids: Mapping[str, UUID], changes: list[Change]) -> None:
    """As `_write_service` does one. What is changed comes first, as it may free a prefix."""
    for change in changes:
        if change.how != CREATED:
            await _write_service(connection, change)
    made = [_with_plan_id(change, plan_ids) | {"slug": change.id[1]} for change in changes if change.how == CREATED]
    await services.create_many(connection, [services.creation(**values) for values in made])


def _with_plan_id(change: Change, plan_ids: Mapping[str, UUID]) -> dict[str, Any]:
    values = dict(change.values)
    if "minimum_plan" in values:
        slug = values.pop("minimum_plan")
        if slug and slug not in plan_ids:
            raise NotFound(f"There is no plan {slug}.")
        values["minimum_plan_id"] = plan_ids.get(slug)
    return values


async def _operations(connection: Any) -> dict[Id, operations.OperationRecord]:
    found = await operations.list_operations(connection)
    return {("operation", each.service_slug, f"{each.method} {each.path_pattern}"): each for each in found}


async def _write_operations(
    connection: Any,
    known: Mapping[Id, operations.OperationRecord],
    plan_ids: Mapping[str, UUID],
    changes: list[Change],
    *,
    at_once: bool,
) -> None:
    """As `_write_operation` does one."""
    new: list[tuple[Any, ...]] = []
    free: list[tuple[Any, ...]] = []
    sold: list[tuple[Any, ...]] = []
    for change in changes:
        values = _named(_with_plan_id(change, plan_ids))
        if change.how == CREATED:
            method, _, pattern = change.id[2].partition(" ")
            new.append(operations.creation(change.id[1], method, pattern, **_with_name(change, values)))
            continue
        if "minimum_plan_id" in values:
            values["minimum_plan"] = change.values["minimum_plan"] or ""
        row = operations.alteration(known[change.id], **values)
        (sold if operations.changes_terms(values) else free).append(row)
    await operations.change_many(connection, free, sold=False)
    await operations.change_many(connection, sold, sold=not at_once)
    await operations.create_many(connection, new)


async def _write_operation(
    connection: Any, known: Mapping[Id, operations.OperationRecord], change: Change, *, at_once: bool
) -> None:
    values = _named(dict(change.values))
    if change.how != CREATED:
        if "minimum_plan" in values:
            values["minimum_plan"] = values["minimum_plan"] or ""
        await operations.change(connection, known[change.id].id, at_once=at_once, **values)
        return
    method, _, pattern = change.id[2].partition(" ")
    values = _with_name(change, values)
    await operations.create(connection, service_slug=change.id[1], method=method, path_pattern=pattern, **values)


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """The values by the names that the domain has for them."""
    if "price" in values:
        values["price_micro"] = values.pop("price")
    return values


def _with_name(change: Change, values: dict[str, Any]) -> dict[str, Any]:
    return {"name": change.id[2][:120], **values}

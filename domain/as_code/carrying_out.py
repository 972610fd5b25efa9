"""Making the database what a file says, through the domain's own functions: versions of plans and all checks hold."""

import re
from collections.abc import Iterable
from typing import Any

from domain import operations, plans, services
from domain.as_code.differences import CREATED, Change, defaults_of
from domain.as_code.documents import Document, Entry, Id, described
from domain.as_code.fields import LIMIT_FIELDS
from domain.as_code.mistakes import Mistake
from domain.as_code.values import limit_of
from domain.faults import Fault
from domain.limit_texts import LimitSpec
from domain.plan_prices import PriceSpec

_APART = {*LIMIT_FIELDS, "prices"}
_PARKED = "/parked-by-apply/"


async def write_changes(
    connection: Any, changes: Iterable[Change], document: Document, present: Document, *, at_once: bool
) -> list[Mistake]:
    """Make the changes inside the caller's transaction; what the domain refuses, with its place. Roll back if any.

    Plans come first, without what refers to services; then services, operations, and last the limits and prices.
    """
    wanted = list(changes)
    mistakes: list[Mistake] = []
    refused: set[Id] = set()

    async def attempt(change: Change, write: Any) -> None:
        try:
            async with connection.transaction():
                await write
        except Fault as fault:
            entry = document.entries.get(change.id, Entry(change.id))
            refused.add(change.id)
            field = re.match(r"\w*", str(fault))
            mistakes.append(Mistake(entry.place_of(field[0] if field else ""), f"{described(change.id)}: {fault}"))

    plan_changes = [change for change in wanted if change.id[0] == "plan"]
    for change in plan_changes:
        if change.how == CREATED:
            await attempt(change, _create_plan(connection, change))
    await _park_prefixes(connection, wanted, present)
    for change in wanted:
        if change.id[0] == "service":
            await attempt(change, _write_service(connection, change))
    known = await _operation_ids(connection)
    for change in wanted:
        if change.id[0] == "operation":
            await attempt(change, _write_operation(connection, change, known, at_once=at_once))
    for change in plan_changes:
        if change.id not in refused:
            await attempt(change, _change_plan(connection, change, present, at_once=at_once))
    return mistakes


async def _create_plan(connection: Any, change: Change) -> None:
    values = {name: value for name, value in change.values.items() if name not in _APART and name != "active"}
    await plans.create(connection, slug=change.id[1], limits=[], **values)


async def _change_plan(connection: Any, change: Change, present: Document, *, at_once: bool) -> None:
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


async def _operation_ids(connection: Any) -> dict[tuple[str, str], Any]:
    found = await operations.list_operations(connection)
    return {(each.service_slug, f"{each.method} {each.path_pattern}"): each.id for each in found}


async def _write_operation(
    connection: Any, change: Change, known: dict[tuple[str, str], Any], *, at_once: bool
) -> None:
    values = dict(change.values)
    if "price" in values:
        values["price_micro"] = values.pop("price")
    if change.how != CREATED:
        if "minimum_plan" in values:
            values["minimum_plan"] = values["minimum_plan"] or ""
        await operations.change(connection, known[change.id[1:]], at_once=at_once, **values)  # type: ignore[index]
        return
    method, _, pattern = change.id[2].partition(" ")
    enabled = values.pop("enabled", True)
    values.setdefault("name", change.id[2][:120])
    made = await operations.create(connection, service_slug=change.id[1], method=method, path_pattern=pattern, **values)
    if not enabled:
        await operations.change(connection, made.id, enabled=False)

"""A plan as it might be sold: an existing plan's terms, changed by a file in the form of `export`, then by single changes.

Everything is parsed and checked by what parses and checks it for `plans create` and `apply`. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.as_code.checking import mistakes_of
from domain.as_code.documents import Document, Entry
from domain.as_code.fields import LIMIT_FIELDS, PLAN
from domain.as_code.mistakes import Mistake, Mistaken, did_you_mean
from domain.as_code.parsing import parse_document
from domain.as_code.present import read_present
from domain.as_code.values import limit_of
from domain.catalog.reading import read_tables
from domain.cost_formulas import valid_formula
from domain.faults import InvalidValue, NotFound
from domain.limit_texts import LimitSpec, check_names
from domain.plan_limits import target_of
from domain.plan_prices import PriceSpec, operations_of
from domain.plan_terms import PlanTerms
from domain.plans import check_terms
from domain.snapshots import LimitSnapshot, OperationSnapshot, ServiceSnapshot
from domain.spend_caps import LARGEST_MICRO

_TERMS = ("overage", "price_cents", "currency", "trial_days", "trial_calls", "grace_days")
_OF_OPERATION = {
    "price": "price_micro",
    "quota_cost": "quota_cost",
    "cost_formula": "cost_formula",
    "reserved": "reserved",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs; None and empty stay. `limits` replaces all limits and quotas. `included_micro`: micro-credits that are
    free in each month, which no plan has yet.
    """

    text: str = ""
    limits: Sequence[LimitSpec] | None = None
    prices: Sequence[PriceSpec] = ()
    price_cents: int | None = None
    overage: str | None = None
    included_micro: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """`terms.prices` and `quota_costs` hold what differs from the operations' own; `services` by id, with the prices and
    formulas that their operations would have.
    """

    slug: str
    terms: PlanTerms
    services: Mapping[UUID, ServiceSnapshot]
    included_micro: int = 0
    present: Mapping[UUID, ServiceSnapshot] = field(default_factory=dict)
    """The services as they are."""


async def read_draft(connection: Any, slug: str | None = None, changes: Changes | None = None) -> Draft:
    """The plan `slug` under changes; without one, the only plan of the file, which need not exist.

    Raises NotFound, InvalidValue; Mistaken with all that is wrong in the file.
    """
    changes = changes or Changes()
    if not 0 <= changes.included_micro <= LARGEST_MICRO:
        raise InvalidValue("The included credits are not less than 0, and no more than an organization can have.")
    document = parse_document(changes.text)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        present = await read_present(connection)
        mistakes = [*mistakes_of(document, present), *_formula_mistakes(document)]
        if mistakes:
            raise Mistaken(mistakes)
        slug = slug or _only_plan(document)
        return await _draft(connection, slug, _values(slug, document, present), document, changes)


async def _draft(connection: Any, slug: str, values: dict[str, Any], document: Document, changes: Changes) -> Draft:
    for name in ("price_cents", "overage"):
        if (given := getattr(changes, name)) is not None:
            values[name] = given
    check_terms(values)
    specs = _specs(values) if changes.limits is None else list(changes.limits)
    check_names(specs)
    prices, quota_costs = await _prices(connection, [*_price_specs(values), *changes.prices])
    tables = await read_tables(connection)
    services = {service.id: service for service in tables.routes.services}
    terms = PlanTerms(
        limits=tuple([await _limit(connection, slug, spec) for spec in specs]),
        prices=prices,
        quota_costs=quota_costs,
        **{name: values[name] for name in _TERMS},
    )
    changed = {service.id: _changed(service, document) for service in services.values()}
    return Draft(slug, terms, changed, changes.included_micro, services)


def _only_plan(document: Document) -> str:
    plans = document.of_kind("plan")
    if len(plans) != 1:
        raise InvalidValue(f"Say which plan is meant: the file has {len(plans) or 'none'}.")
    return plans[0].id[1]


def _values(slug: str, document: Document, present: Document) -> dict[str, Any]:
    """All fields of the plan: the file's word, then the database's, then what a new plan has."""
    given, before = document.entries.get(("plan", slug)), present.entries.get(("plan", slug))
    if given is None and before is None:
        known = [entry.id[1] for entry in (*present.of_kind("plan"), *document.of_kind("plan"))]
        raise NotFound(f"There is no plan {slug}.{did_you_mean(slug, known)}")
    values = {each.name: each.default for each in PLAN}
    for entry in (before, given):
        if entry is not None:
            values.update(entry.values)
    return values


def _specs(values: Mapping[str, Any]) -> list[LimitSpec]:
    return [limit_of(name, limit, text) for name in LIMIT_FIELDS for limit, text in values[name].items()]


def _price_specs(values: Mapping[str, Any]) -> list[PriceSpec]:
    found = []
    for key, amounts in values["prices"].items():
        service, _, operation = key.partition(" ")
        for kind, amount in zip(("price_micro", "quota_cost"), amounts, strict=True):
            if amount is not None:
                found.append(PriceSpec(service, operation, kind, amount, by_path=True))
    return found


async def _prices(connection: Any, specs: Sequence[PriceSpec]) -> tuple[dict[UUID, int], dict[UUID, int]]:
    """Prices and units by operation, a later word before an earlier one."""
    found: dict[str, dict[UUID, int]] = {"price_micro": {}, "quota_cost": {}}
    for spec in specs:
        for operation_id in await operations_of(connection, spec):
            if spec.amount is None:
                found[spec.kind].pop(operation_id, None)
            else:
                found[spec.kind][operation_id] = spec.amount
    return found["price_micro"], found["quota_cost"]


async def _limit(connection: Any, slug: str, spec: LimitSpec) -> LimitSnapshot:
    service_id, operation_id = await target_of(connection, spec)
    limit_id = uuid5(NAMESPACE_OID, f"paid-endpoint:draft:{slug}:{spec.name}")
    return LimitSnapshot(
        limit_id, spec.name, spec.amount, spec.period, spec.scope, spec.shadow, service_id, operation_id, spec.unit
    )


def _changed(service: ServiceSnapshot, document: Document) -> ServiceSnapshot:
    """The service with what the file says of its prices."""
    entry = document.entries.get(("service", service.slug))
    operations = tuple(_changed_operation(service.slug, operation, document) for operation in service.operations)
    charge_on = entry.values.get("charge_on", service.charge_on) if entry is not None else service.charge_on
    return replace(service, operations=operations, charge_on=charge_on)


def _changed_operation(service: str, operation: OperationSnapshot, document: Document) -> OperationSnapshot:
    entry = document.entries.get(("operation", service, f"{operation.method} {operation.path_pattern}"))
    if entry is None:
        return operation
    changes = {column: entry.values[name] for name, column in _OF_OPERATION.items() if name in entry.values}
    return replace(operation, **changes)


def _formula_mistakes(document: Document) -> list[Mistake]:
    found = []
    for entry in document.of_kind("operation"):
        try:
            valid_formula(entry.values.get("cost_formula", ""), _pattern(entry))
        except InvalidValue as fault:
            found.append(Mistake(entry.place_of("cost_formula"), str(fault)))
    return found


def _pattern(entry: Entry) -> str:
    return entry.id[2].partition(" ")[2]

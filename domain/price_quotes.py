"""What a request would cost, for operators: read from the same tables, and by the same rules, as in the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.catalog.reading import read_tables
from domain.cost_fields import MISSING, Asked, Headers
from domain.cost_formula_parsing import Field
from domain.cost_formulas import CostFormula, delivery_of, requested_price
from domain.faults import InvalidValue, NotFound
from domain.path_patterns import path_parameters
from domain.prices import price_micro
from domain.snapshots import OperationSnapshot


@dataclass(frozen=True, slots=True)
class FieldReading:
    """What was found of one field of a formula: its `value`, or None where there is none. `note` says why."""

    field: str
    value: int | None
    note: str


@dataclass(frozen=True, slots=True)
class PriceQuote:
    """`price_micro` is what the request costs, `cap_micro` the most that any costs, on `plan` if one is named.

    `capped` says why no formula had a say, where the operation has one; empty: it had.
    """

    operation_id: UUID
    operation: str
    plan: str | None
    cost_formula: str
    cap_micro: int
    price_micro: int
    capped: str
    fields: tuple[FieldReading, ...]


async def quote(
    connection: Any,
    operation_id: UUID,
    *,
    plan: str | None = None,
    query: bytes = b"",
    headers: Headers = (),
    parameters: Mapping[str, str] | None = None,
    body: int | None = 0,
    answer_bytes: int | None = None,
    answer_events: int | None = None,
) -> PriceQuote:
    """The price of one request; `headers` have lower-case names, `body` is its length, None if it is not announced.

    Of its answer `answer_bytes` are delivered, and `answer_events` in them, None if it is no stream of events; without
    `answer_bytes` the price is what is held until they are known.

    Raises NotFound for the operation or the plan; InvalidValue for a path parameter that the operation has not.
    """
    tables = await read_tables(connection)
    found = (each for service in tables.routes.services for each in service.operations if each.id == operation_id)
    operation = next(found, None)
    if operation is None:
        raise NotFound(f"There is no operation {operation_id}.")
    cap = operation.price_micro
    if plan is not None:
        terms = next((each for each in tables.plans.values() if each.slug == plan), None)
        if terms is None:
            raise NotFound(f"There is no plan {plan}.")
        cap = price_micro(terms, operation)
    rest = _path(operation.path_pattern, parameters or {})
    asked = query, headers, rest, body
    answer = answer_bytes, answer_events
    price, capped = cap, ""
    readings: tuple[FieldReading, ...] = ()
    if operation.cost_formula:
        price = requested_price(operation, cap, asked)
        delivery = None if answer_bytes is None else delivery_of(operation, cap, asked)
        if answer_bytes is not None and delivery is not None:
            delivered = delivery.cost(answer_bytes, answer_events)
            price = cap if delivered is None else delivered
        capped, readings = _explained(operation, asked, answer)
    return PriceQuote(operation.id, operation.name, plan, operation.cost_formula, cap, price, capped, readings)


def _explained(
    operation: OperationSnapshot, asked: Asked, answer: tuple[int | None, int | None]
) -> tuple[str, tuple[FieldReading, ...]]:
    try:
        formula = CostFormula(operation.cost_formula, operation.path_pattern)
    except InvalidValue as fault:
        return str(fault), ()
    numbers = formula.read(asked)
    readings = tuple(
        _reading_of_answer(field, *answer) if field.source == "answer" else _reading(field, number)
        for field, number in zip(formula.fields, numbers, strict=True)
    )
    lost = [f"{reading.field} is {reading.note}" for reading in readings if reading.value is None]
    return "; ".join(lost), readings


def _reading(field: Field, number: int) -> FieldReading:
    if number >= 0:
        return FieldReading(field.label, number, "given")
    if number == MISSING and field.default is not None:
        return FieldReading(field.label, field.default, "default")
    return FieldReading(field.label, None, "missing" if number == MISSING else "not one plain number")


def _reading_of_answer(field: Field, sent: int | None, events: int | None) -> FieldReading:
    if sent is None:
        return FieldReading(field.label, None, "not known before the end")
    found = sent if field.name == "bytes" else 0 if not sent else events
    if found is not None:
        return FieldReading(field.label, found, "delivered")
    if field.default is not None:
        return FieldReading(field.label, field.default, "default")
    return FieldReading(field.label, None, "not to be counted")


def _path(pattern: str, parameters: Mapping[str, str]) -> bytes:
    """A path of the pattern; empty where a parameter is not given."""
    places = path_parameters(pattern)
    segments = pattern.split("/")
    for name in parameters:
        if name not in places:
            raise InvalidValue(f"{pattern} has no parameter {name}.")
    for name, place in places.items():
        segments[place + 1] = parameters.get(name, "")
    return "/".join(segments).encode()

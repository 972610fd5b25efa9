"""What a request costs by its operation's cost formula: at most the price, and the price wherever a field can't be read.

Where the formula names fields of the answer, the price is only what may become due; the rest follows from what was
delivered (`Delivery`).

A formula is parsed once for each text and path pattern, into functions of the fields' numbers. All values are in
micro-credits, exactly; `domain.cost_formula_parsing` sees to it that they are whole.
"""

import logging
from collections.abc import Callable
from functools import lru_cache

from domain.cost_fields import UNREADABLE, Asked, reader
from domain.cost_formula_parsing import Amount, Ceil, Extreme, Field, Node, Product, Sum, parse, parts_of
from domain.credit_amounts import MICRO
from domain.deliveries import Delivery, Late
from domain.faults import InvalidValue
from domain.path_patterns import path_parameters
from domain.snapshots import OperationSnapshot

_log = logging.getLogger(__name__)

_MOST_COMPILED = 4_096
Value = Callable[[list[int]], int]
"""Micro-credits, of the fields' numbers in millionths."""


class CostFormula:
    """A formula for one path pattern; never changes. `fields` are in the order of their first use.

    `settles_late`: some of them are of the answer.
    """

    __slots__ = ("_readers", "_value", "fields", "settles_late")

    def __init__(self, text: str, path_pattern: str) -> None:
        """Raises InvalidValue."""
        parameters = path_parameters(path_pattern)
        node = parse(text, parameters)
        self.fields = tuple(dict.fromkeys(_fields(node)))
        self.settles_late = any(field.source == "answer" for field in self.fields)
        self._readers = tuple(
            (reader(field, parameters), UNREADABLE if field.default is None else field.default) for field in self.fields
        )
        self._value = _compiled(node, {field: place for place, field in enumerate(self.fields)})

    def read(self, asked: Asked) -> list[int]:
        """The number of each of `fields`, without its default; MISSING or UNREADABLE (`domain.cost_fields`)."""
        return [read(asked) for read, _ in self._readers]

    def price(self, cap: int, asked: Asked) -> int:
        """Micro-credits from 0 to `cap`, which it is where the formula `settles_late`."""
        numbers = []
        for read, default in self._readers:
            number = read(asked)
            if number < 0:
                if number == UNREADABLE or default < 0:
                    return cap
                number = default
            numbers.append(number * MICRO)
        price = self._value(numbers)
        return 0 if price < 0 else min(price, cap)

    def delivery(self, cap: int, asked: Asked) -> Delivery | None:
        """How the cost follows from the answer; None where it does not, or a field of the request can't be read."""
        if not self.settles_late:
            return None
        numbers: list[int] = []
        late: list[Late] = []
        for place, (field, (read, default)) in enumerate(zip(self.fields, self._readers, strict=True)):
            number = 0
            if field.source == "answer":
                late.append(Late(place, field.name == "events", field.default))
            elif (number := read(asked)) < 0:
                if number == UNREADABLE or default < 0:
                    return None
                number = default
            numbers.append(number * MICRO)
        return Delivery(cap, self._value, numbers, late)


@lru_cache(_MOST_COMPILED)
def formula_of(text: str, path_pattern: str) -> CostFormula | None:
    """An operation's formula; None, and a line in the log, for a text that is none: whoever wrote it did not ask us."""
    try:
        return CostFormula(text, path_pattern)
    except InvalidValue as fault:
        _log.error("an operation %s costs its whole price each time: %s", path_pattern, fault)
        return None


def valid_formula(text: str, path_pattern: str) -> str:
    """`text` without blanks around it, if it is a formula for requests of this pattern, or empty. Raises InvalidValue."""
    formula = text.strip(" \t\r\n")
    if formula:
        CostFormula(text, path_pattern)
    return formula


def requested_price(operation: OperationSnapshot, cap: int, asked: Asked) -> int:
    """Micro-credits of a request of an operation with a formula; `cap` is the price for whoever asks."""
    formula = formula_of(operation.cost_formula, operation.path_pattern)
    return cap if formula is None else formula.price(cap, asked)


def delivery_of(operation: OperationSnapshot, cap: int, asked: Asked) -> Delivery | None:
    """How the cost of such a request follows from what is delivered; None where it is its `requested_price`."""
    formula = formula_of(operation.cost_formula, operation.path_pattern)
    return None if formula is None else formula.delivery(cap, asked)


def settles_late(text: str, path_pattern: str) -> bool:
    """Whether this is a formula, of requests of this pattern, that names fields of the answer."""
    formula = formula_of(text, path_pattern) if text else None
    return formula is not None and formula.settles_late


def _fields(node: Node) -> list[Field]:
    if isinstance(node, Field):
        return [node]
    return [field for part in parts_of(node) for field in _fields(part)]


def _compiled(node: Node, places: dict[Field, int]) -> Value:
    if isinstance(node, Amount):
        micro = node.micro
        return lambda _: micro
    if isinstance(node, Field):
        place = places[node]
        return lambda numbers: numbers[place]
    if isinstance(node, Ceil):
        part, step = _compiled(node.part, places), node.micro
        return lambda numbers: -(-part(numbers) // step) * MICRO
    if isinstance(node, Extreme):
        parts = tuple(_compiled(part, places) for part in node.parts)
        choose = min if node.which == "min" else max
        return lambda numbers: choose([part(numbers) for part in parts])
    return _sum(node, places) if isinstance(node, Sum) else _product(node, places)


def _sum(node: Sum, places: dict[Field, int]) -> Value:
    value = _compiled(node.first, places)
    for taken_away, part in node.rest:
        value = (_less if taken_away else _more)(value, _compiled(part, places))
    return value


def _more(one: Value, other: Value) -> Value:
    return lambda numbers: one(numbers) + other(numbers)


def _less(one: Value, other: Value) -> Value:
    return lambda numbers: one(numbers) - other(numbers)


def _product(node: Product, places: dict[Field, int]) -> Value:
    value = _compiled(node.factors[0], places)
    for factor in node.factors[1:]:
        value = _times(value, _compiled(factor, places))
    return value


def _times(one: Value, other: Value) -> Value:
    # One of both is whole, so this divides without a rest.
    return lambda numbers: one(numbers) * other(numbers) // MICRO

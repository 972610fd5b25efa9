"""What a logged request costs under some terms: by the gateway's own rules, from what its row says of it.

A formula is worked out again where the row has all its fields: query, path, bytes of both bodies. Where it has not (header
fields, events, what was scrubbed) and where the upstream says the cost, the recorded cost holds, within the price.
"""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from domain.charging import is_charged, is_paid_in_part
from domain.cost_formulas import CostFormula, formula_of
from domain.prices import price_micro
from domain.request_log import MASK, PATH_LENGTH
from domain.snapshots import OperationSnapshot, PlanSnapshot, ServiceSnapshot

_ANSWERS = {"served", "gone", "cut", "failed"}
LOGGED = {("query", None), ("path", None), ("bytes", None), ("answer", "bytes")}


class Asked(NamedTuple):
    """One row of request_log. Times in microseconds, costs in micro-credits; `sent`: it went to an upstream."""

    key_id: UUID
    service_id: UUID
    operation_id: UUID | None
    begun_us: int
    total_us: int
    status: int
    outcome: str
    refusal: str | None
    sent: bool
    cost_micro: int
    id: UUID
    bytes_in: int = 0
    bytes_out: int = 0
    query: str = ""
    path: str = ""
    """These four only where some operation has a formula."""

    @property
    def answered(self) -> bool:
        """Whether it was let through; else its answer is not known, and it is taken for one that would have been good."""
        return self.outcome in _ANSWERS

    @property
    def headed(self) -> bool:
        """Whether the head of an answer came from the upstream."""
        return self.sent and self.status > 0 and self.outcome != "failed"


def is_replayable(formula: CostFormula) -> bool:
    """Whether rows of the log have all its fields."""
    return all((field.source, field.name if field.source == "answer" else None) in LOGGED for field in formula.fields)


class Price:
    """What requests to one operation cost on one side; `usual` is its price under the terms that hold now."""

    __slots__ = ("_formula", "_prefix", "_replayable", "cap", "charge_on", "fixed", "usual")

    def __init__(
        self,
        service: ServiceSnapshot,
        operation: OperationSnapshot | None,
        plan: PlanSnapshot,
        usual: int | None = None,
    ) -> None:
        self.cap = price_micro(plan, operation)
        self.usual = self.cap if usual is None else usual
        self.charge_on, self._prefix = service.charge_on, service.route_prefix
        text = operation.cost_formula if operation is not None else ""
        self._formula = formula_of(text, operation.path_pattern) if text and operation is not None else None
        self._replayable = self._formula is not None and is_replayable(self._formula)
        self.fixed = self._formula is None and not (operation is not None and operation.reserved)

    def due(self, asked: Asked) -> int:
        """What must be there before the request goes out."""
        if self.fixed or self._formula is None or not self._readable(asked):
            return self.cap
        return self._formula.price(self.cap, self._fields(asked))

    def cost(self, asked: Asked) -> int:
        """What it is charged in the end."""
        if not self.cap:
            return 0
        if not asked.answered:
            return self.due(asked)
        if not is_charged(self.charge_on, asked.outcome, asked.status, headers_arrived=asked.headed):
            return self._part(asked)
        if self.fixed:
            return self.cap
        if self._formula is not None and self._readable(asked):
            return self._by_formula(asked)
        return self.cap if asked.cost_micro == self.usual else min(asked.cost_micro, self.cap)

    def _part(self, asked: Asked) -> int:
        """Of an answer that was cut: what was delivered of it, if that has a price."""
        formula = self._formula
        if (
            formula is None
            or not formula.settles_late
            or not is_paid_in_part(
                self.charge_on, asked.outcome, asked.status, headers_arrived=asked.headed, sent=asked.bytes_out
            )
        ):
            return 0
        return self._by_formula(asked) if self._readable(asked) else min(asked.cost_micro, self.cap)

    def _by_formula(self, asked: Asked) -> int:
        assert self._formula is not None
        fields = self._fields(asked)
        delivery = self._formula.delivery(self.cap, fields)
        cost = None if delivery is None else delivery.cost(asked.bytes_out, None)
        return self._formula.price(self.cap, fields) if cost is None else cost

    def _readable(self, asked: Asked) -> bool:
        whole = len(asked.query) < PATH_LENGTH and len(asked.path) < PATH_LENGTH
        clean = MASK not in asked.query and MASK not in asked.path
        return self._replayable and whole and clean and asked.path.encode().startswith(self._prefix)

    def _fields(self, asked: Asked) -> tuple[bytes, tuple[()], bytes, int]:
        return asked.query.encode(), (), asked.path.encode()[len(self._prefix) :], asked.bytes_in


Offers = Mapping[UUID, tuple[ServiceSnapshot, OperationSnapshot]]
"""Every operation, with its service, by its id."""


def offers_of(services: Mapping[UUID, ServiceSnapshot]) -> dict[UUID, tuple[ServiceSnapshot, OperationSnapshot]]:
    """The operations of these services."""
    return {operation.id: (service, operation) for service in services.values() for operation in service.operations}


def operation_of(offers: Offers, operation_id: UUID | None) -> OperationSnapshot | None:
    """None for a service's default operation, and for one that is gone."""
    offer = offers.get(operation_id) if operation_id is not None else None
    return None if offer is None else offer[1]

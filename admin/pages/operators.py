"""Who operates the product."""

from dataclasses import dataclass
from typing import ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.visit import Visit
from domain.operating.operators import OperatorRecord, list_operators
from domain.operators import OPERATOR_ROLES, RIGHTS_IN_WORDS, OperatorRole, Right


@dataclass(frozen=True, kw_only=True)
class OperatorsPage(Page):
    """All operators; `rights` are all that there are, in words; `roles` who has them."""

    template: ClassVar[str] = "operators.html"
    title: str = "Operators"
    operators: list[OperatorRecord]
    rights: ClassVar[dict[Right, str]] = RIGHTS_IN_WORDS
    roles: ClassVar[dict[OperatorRole, frozenset[Right]]] = OPERATOR_ROLES


async def show(visit: Visit) -> Page:
    """GET /operators."""
    return OperatorsPage(operators=await list_operators(visit.connection))


PAGES = (PageRoute("/operators", show, right=Right.OPERATORS),)

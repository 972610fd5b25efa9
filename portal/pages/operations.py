"""One operation: what it costs, how it is called, and a form that calls it."""

from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from domain.access import Permission
from domain.faults import Fault, NotFound, TooManyTries
from domain.key_proofs import require_own_key
from domain.service_catalog import CatalogOperation, CatalogService, fetch_from_catalog
from portal.calls import BODILESS, METHODS, Call, CallOutcome, call_of, send
from portal.pages.services import PATH, services_root
from portal.web.examples import Example, example, polling_example
from portal.web.failures import failure_of
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute
from portal.web.visit import Visit

ONE = f"{PATH}/{{service}}/{{operation:uuid}}"
_FIELDS = ("method", "query", "body", "content_type")
_trying: set[int] = set()
"""Who waits for an answer in this process: one call of each person at a time."""


@dataclass(frozen=True, kw_only=True)
class OperationPage(Page):
    """An operation. `written` is what stands in the form: everything but the key; `outcome` what the call brought."""

    template: ClassVar[str] = "operation.html"
    root: str
    service: CatalogService
    operation: CatalogOperation
    examples: Example
    polling: str
    may_try: bool
    has_body: bool
    methods: tuple[str, ...] = METHODS
    written: dict[str, str] = field(default_factory=dict)
    outcome: CallOutcome | None = None
    sent: Call | None = None


async def show(visit: Visit, service: str, operation: UUID) -> Page:
    """The operation and an empty form."""
    found = await fetch_from_catalog(visit.connection, visit.access.organization_id, service)
    return _page(visit, found, _operation(found, operation), {})


async def call(visit: Visit, service: str, operation: UUID) -> Page:
    """Call it and show what came back. No connection to the database is held meanwhile."""
    written = {name: str(value) for name, value in visit.form.items() if name != "key"}
    async with visit.services.database.acquire() as connection:
        found = await fetch_from_catalog(connection, visit.access.organization_id, service)
        wanted = _operation(found, operation)
        try:
            values = {name: written.get(f"path.{name}", "") for name in wanted.parameters}
            request = call_of(found, wanted, {name: written.get(name, "") for name in _FIELDS}, values)
            given = str(visit.form.get("key", ""))
            key = await require_own_key(connection, visit.access, visit.settings.keys, given)
        except Fault as fault:
            return _page(visit, found, wanted, written, fault=fault)
    user_id = visit.access.user_id
    if user_id in _trying:
        busy = TooManyTries("Another call of yours is still under way. Wait for its answer.", retry_after_seconds=10)
        return _page(visit, found, wanted, written, fault=busy)
    _trying.add(user_id)
    try:
        outcome = await send(gateway_url(visit), request, key)
    finally:
        _trying.discard(user_id)
    return _page(visit, found, wanted, written, outcome=outcome, sent=request)


def _operation(service: CatalogService, operation: UUID) -> CatalogOperation:
    for each in service.operations:
        if each.id == operation:
            return each
    raise NotFound("There is no such operation.")


def _page(
    visit: Visit,
    service: CatalogService,
    operation: CatalogOperation,
    written: dict[str, str],
    *,
    fault: Fault | None = None,
    outcome: CallOutcome | None = None,
    sent: Call | None = None,
) -> OperationPage:
    failure = failure_of(fault) if fault else None
    return OperationPage(
        title=operation.name,
        root=services_root(visit),
        service=service,
        operation=operation,
        examples=example(gateway_url(visit), service, operation),
        polling=polling_example(gateway_url(visit)),
        may_try=visit.access.may(Permission.BUILD),
        has_body=operation.method not in BODILESS,
        written=written,
        outcome=outcome,
        sent=sent,
        error=failure.detail if failure else "",
        status=failure.status if failure else 200,
    )


PAGES = (
    PageRoute(ONE, show, permission=Permission.VIEW),
    PageRoute(ONE, call, "POST", permission=Permission.BUILD, connected=False),
)

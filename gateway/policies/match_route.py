"""Which service and operation a request is for. Decides on the canonical path only; refuses with 404 or 400."""

from typing import TYPE_CHECKING

from domain.paths import canonical_path
from domain.refusals import ServiceDisabled, UnknownRoute
from gateway import cors
from gateway.dates import date_now

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def match_route(exchange: "Exchange") -> None:
    """Set `exchange.matched`. A preflight that the service's policy covers is answered here, without a key."""
    matched = exchange.services.catalog.match(exchange.request.method, canonical_path(exchange.request.target_path))
    if matched is None:
        raise UnknownRoute
    exchange.matched = matched
    if not matched.service.enabled or matched.service.coming_soon or not matched.service.upstreams:
        raise ServiceDisabled
    if matched.operation is not None and not matched.operation.enabled:
        raise ServiceDisabled("This operation is switched off.")
    fields = cors.preflight(exchange.request, matched.service)
    if fields is not None:
        own = [(b"date", date_now()), *fields, (b"x-request-id", exchange.request_id_bytes)]
        exchange.answer(204, own, b"")

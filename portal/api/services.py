"""The services that can be called, at the prices of the caller's organization."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.access import Permission
from domain.credit_amounts import credits_text
from domain.service_catalog import CatalogOperation, CatalogService, fetch_from_catalog, list_catalog
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Credits
from portal.web.layout import gateway_url
from portal.web.visit import Visit

_OPERATION: dict[str, Any] = {
    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "name": "forecast", "method": "GET", "path": "/weather/days/{day}",
    "price": "0.05", "price_formula": None, "quota_units": None, "reserved": False, "replays": False,
    "asynchronous": False, "locked": None,
}  # fmt: skip
_SERVICE: dict[str, Any] = {
    "slug": "weather", "name": "Weather", "description": "Forecasts by the hour.", "category": "Data", "version": "2",
    "badges": ["featured"], "minimum_plan": None, "charge_on": "success", "locked": None,
    "url": "https://api.example.com/weather", "operations": [_OPERATION],
}  # fmt: skip


class OperationAnswer(Answer):
    """What can be called. `price` is the most that a request costs; `locked` says why this organization may not call it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPERATION]})

    id: UUID
    name: str
    method: str
    path: str
    price: Credits
    price_formula: str | None
    quota_units: int | None
    reserved: bool
    replays: bool
    asynchronous: Annotated[
        bool,
        Field(description="Answers 202 with a job, which /user/jobs/{id} of the gateway and /api/jobs/{id} tell of."),
    ]
    locked: str | None


class ServiceAnswer(Answer):
    """A service and its operations."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SERVICE]})

    slug: str
    name: str
    description: str
    category: str
    version: str
    badges: list[Literal["featured", "new", "beta", "soon"]]
    minimum_plan: str | None
    charge_on: str
    locked: str | None
    url: str
    operations: list[OperationAnswer]


class ServiceList(Answer):
    """All services in the catalog's order; there are never so many that they need pages."""

    data: list[ServiceAnswer]


async def show_all(visit: Visit) -> ServiceList:
    """GET /api/services."""
    services = await list_catalog(visit.connection, visit.access.organization_id)
    return ServiceList(data=[_service(service, gateway_url(visit)) for service in services])


async def show(visit: Visit, service: str) -> ServiceAnswer:
    """GET /api/services/{slug}."""
    found = await fetch_from_catalog(visit.connection, visit.access.organization_id, service)
    return _service(found, gateway_url(visit))


def _service(service: CatalogService, base_url: str) -> ServiceAnswer:
    return ServiceAnswer.model_validate(
        {
            "slug": service.slug,
            "name": service.name,
            "description": service.description,
            "category": service.category,
            "version": service.version,
            "badges": service.badges,
            "minimum_plan": service.minimum_plan,
            "charge_on": service.charge_on,
            "locked": service.locked or None,
            "url": base_url + service.route_prefix,
            "operations": [_operation(service, operation) for operation in service.operations],
        }
    )


def _operation(service: CatalogService, operation: CatalogOperation) -> OperationAnswer:
    return OperationAnswer(
        id=operation.id,
        name=operation.name,
        method=operation.method,
        path=service.route_prefix + operation.path_pattern,
        price=credits_text(operation.price_micro),
        price_formula=operation.cost_formula or None,
        quota_units=operation.units,
        reserved=operation.reserved,
        replays=operation.replays,
        asynchronous=operation.asynchronous,
        locked=operation.locked or None,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/services",
        show_all,
        "List services with their operations",
        "services",
        answer=ServiceList,
        permission=Permission.VIEW,
    ),
    Endpoint(
        "GET",
        "/services/{service}",
        show,
        "One service by its slug",
        "services",
        answer=ServiceAnswer,
        permission=Permission.VIEW,
    ),
)

"""What the database has, as a document."""

import json
from typing import Any

from domain.as_code.documents import Document, Entry
from domain.as_code.fields import FIELDS
from domain.operating.operators import list_operators
from domain.operations import list_operations
from domain.plans import PlanRecord, list_plans
from domain.services import list_services
from domain.upstream_urls import weighted_text

_MOST_OPERATORS = 100_000


async def read_present(connection: Any) -> Document:
    """Every plan, service, operation and operator with all fields, in the order of their lists."""
    document = Document()
    plan_slugs = {}
    for plan in await list_plans(connection):
        plan_slugs[plan.id] = plan.slug
        _add(document, Entry(("plan", plan.slug), values=_plan(plan)))
    stored = {
        row["id"]: tuple(weighted_text(each["url"], each.get("weight", 1)) for each in json.loads(row["upstreams"]))
        for row in await connection.fetch("select id, upstreams from service")
    }
    for service in await list_services(connection):
        values: dict[str, Any] = {
            field.name: getattr(service, field.name) for field in FIELDS["service"] if hasattr(service, field.name)
        }
        values |= {
            "prefix": service.route_prefix,
            "upstreams": stored[service.id],
            "minimum_plan": plan_slugs.get(service.minimum_plan_id) if service.minimum_plan_id else None,
        }
        _add(document, Entry(("service", service.slug), values=values))
    for operation in await list_operations(connection):
        key = f"{operation.method} {operation.path_pattern}"
        values = {field.name: getattr(operation, field.name, None) for field in FIELDS["operation"]}
        values["price"] = operation.price_micro
        _add(document, Entry(("operation", operation.service_slug, key), values=values))
    for operator in await list_operators(connection, most=_MOST_OPERATORS):
        _add(document, Entry(("operator", operator.email), values={"role": operator.role}))
    return document


def _add(document: Document, entry: Entry) -> None:
    document.entries[entry.id] = entry


def _plan(plan: PlanRecord) -> dict[str, Any]:
    values: dict[str, Any] = {field.name: getattr(plan, field.name, None) for field in FIELDS["plan"]}
    for name in ("limits", "shadow_limits", "quotas", "shadow_quotas"):
        values[name] = {}
    for spec in plan.limits:
        field = "quotas" if spec.unit == "quota" else "limits"
        values[f"shadow_{field}" if spec.shadow else field][spec.name] = spec.text
    values["prices"] = {
        f"{price.service} {price.method} {price.path_pattern}": [price.price_micro, price.quota_cost]
        for price in plan.prices
    }
    return values

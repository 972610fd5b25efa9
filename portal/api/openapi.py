"""The description of the API: OpenAPI 3.1, made of the table of endpoints."""

import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse

from portal.api.endpoint import Endpoint
from portal.api.models import Problem
from portal.api.table import ENDPOINTS
from portal.web.admission import Audience
from portal.web.failures import TITLES

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request within 24 hours happen once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what was looked at. Needed: without it 428.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
}
_ORGANIZATION = {
    "name": "PE-Organization",
    "in": "header",
    "required": False,
    "description": "Slug of the organization, for a session whose user is in several.",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 63},
}


async def openapi_document(request: Request) -> JSONResponse:
    """GET /api/openapi.json."""
    settings = request.app.state.services.settings.portal
    return JSONResponse({**document(), "servers": [{"url": settings.base_url}]})


@cache
def document() -> dict[str, Any]:
    """The whole description but for where the portal is."""
    models = [model for endpoint in ENDPOINTS for model in (endpoint.answer, endpoint.body) if model is not None]
    unique: list[type[BaseModel]] = list(dict.fromkeys([*models, Problem]))
    names, schemas = models_json_schema([(model, "validation") for model in unique], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(_PARAMETER.sub(r"{\1}", f"/api{endpoint.path}"), {})[endpoint.method.lower()] = _operation(
            endpoint, names
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paid-endpoint portal",
            "version": "1",
            "description": "Everything that the portal's pages do. Programs show a personal access token.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Personal access token, pe_pat_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": "pe_session"},
            },
        },
    }


def _operation(endpoint: Endpoint, names: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', endpoint.path.lower()).strip('_')}",
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, names),
    }
    if endpoint.audience is not Audience.ANYONE:
        operation["security"] = [{"token": []}, {"session": []}]
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": names[endpoint.body, "validation"]}},
        }
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name, kind in _PARAMETER.findall(endpoint.path):
        schema = {"uuid": {"type": "string", "format": "uuid"}, "int": {"type": "integer", "minimum": 1}}.get(
            kind, {"type": "string"}
        )
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.query is not None:
        parameters += _of_query(endpoint.query)
    if endpoint.creates:
        parameters.append(_IDEMPOTENCY)
    if endpoint.etag and endpoint.method != "GET":
        parameters.append(_IF_MATCH)
    if endpoint.audience is Audience.MEMBER:
        parameters.append(_ORGANIZATION)
    return parameters


def _of_query(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(ref_template=_REFERENCE)
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": part.get("description", ""),
            "schema": _plain(part, definitions),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _plain(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A query parameter's schema without references and without null, which a query cannot say."""
    if "$ref" in part:
        return dict(definitions[part["$ref"].rpartition("/")[2]])
    choices = [_plain(choice, definitions) for choice in part.get("anyOf", ()) if choice.get("type") != "null"]
    rest = {name: value for name, value in part.items() if name not in {"anyOf", "title", "description", "default"}}
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, **({"anyOf": choices} if choices else {})}


def _responses(endpoint: Endpoint, names: Any) -> dict[str, Any]:
    if endpoint.answer is None and endpoint.media_types == ("application/json",):
        responses: dict[str, Any] = {"204": {"description": "Done."}}
    else:
        schema = names[endpoint.answer, "validation"] if endpoint.answer else {"type": "string"}
        content = {kind: {"schema": schema} for kind in endpoint.media_types}
        responses = {str(endpoint.status): {"description": "Done.", "content": content}}
    for status in sorted(_refusals(endpoint)):
        responses[str(status)] = {"description": TITLES[status], "content": _PROBLEM}
    return responses


def _refusals(endpoint: Endpoint) -> set[int]:
    statuses = {422, 503, *endpoint.also}
    if endpoint.audience is not Audience.ANYONE:
        statuses |= {401, 403}
    if endpoint.audience is Audience.MEMBER or "{" in endpoint.path:
        statuses.add(404)
    if endpoint.method != "GET":
        statuses |= {403, 409, 413}
    if endpoint.body is not None:
        statuses.add(415)
    if endpoint.etag and endpoint.method != "GET":
        statuses |= {412, 428}
    return statuses

"""Every route of the portal that concerns an organization, with what fills its path and its body."""

import re
from dataclasses import dataclass
from typing import Any

from portal.api.endpoint import Endpoint
from portal.api.openapi import document
from portal.api.table import ENDPOINTS
from portal.pages.table import PAGES
from portal.web.admission import Audience
from portal.web.page import PageRoute

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
LASTING = ("/live",)
"""Ends of paths of streams that do not end by themselves; they are asked with HEAD's patience: the status is enough."""


@dataclass(frozen=True)
class Case:
    """One route: what it is called, and how to ask for it."""

    method: str
    path: str
    is_api: bool
    permission: Any
    names: tuple[str, ...]
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def url(self, organization: str, objects: dict[str, Any]) -> str:
        """The path with this organization's slug and these objects."""

        def fill(match: re.Match[str]) -> str:
            name = match.group(1)
            return organization if name == "organization" else str(objects[name])

        return PARAMETER.sub(fill, self.path)


def cases() -> list[Case]:
    """All routes for members; those for anybody and for oneself belong to no organization."""
    pages = [_of_page(page) for page in PAGES if page.audience is Audience.MEMBER]
    return pages + [_of_endpoint(endpoint) for endpoint in ENDPOINTS if endpoint.audience is Audience.MEMBER]


def _of_page(page: PageRoute) -> Case:
    return Case(page.method, page.path, False, page.permission, _names(page.path))


def _of_endpoint(endpoint: Endpoint) -> Case:
    path = f"/api{endpoint.path}"
    body = example_of(endpoint.body) if endpoint.body is not None else None
    return Case(endpoint.method, path, True, endpoint.permission, _names(path), body)


def _names(path: str) -> tuple[str, ...]:
    return tuple(name for name in PARAMETER.findall(path) if name != "organization")


def example_of(model: Any) -> Any:
    """A body that the model takes: its own example, or made of its fields' examples and bounds."""
    schemas = document()["components"]["schemas"]
    return example(schemas[model.__name__], schemas)


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value that a schema takes."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    if "anyOf" in schema:
        return example(next((part for part in schema["anyOf"] if part.get("type") != "null"), {}), schemas)
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        return {name: example(part, schemas) for name, part in schema.get("properties", {}).items() if name in required}
    simple = {"array": [], "boolean": True, "integer": schema.get("minimum", 1), "number": 1, "null": None}
    return simple.get(kind, "x" * max(1, schema.get("minLength", 1)))

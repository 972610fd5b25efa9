"""The JSON Schema of the file, by which editors complete names and mark what is wrong."""

from typing import Any

from domain.as_code.fields import FIELDS, LIMIT_FIELDS, PRICE, Field
from domain.limit_texts import NAME
from domain.names import SLUG_PATTERN

_OPERATION = r"^(\*|[A-Za-z][A-Za-z-]{0,31}) +/.*$"
_TYPES: dict[str, dict[str, Any]] = {
    "flag": {"type": "boolean"},
    "credits": {"type": ["number", "string"], "pattern": r"^[0-9]{1,10}(\.[0-9]{1,6})?$", "minimum": 0},
    "plan": {"type": ["string", "null"], "pattern": f"^{SLUG_PATTERN.pattern}$"},
    "texts": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
}


def editor_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a file that `apply` reads."""
    operations = _by_name(_OPERATION, _object(_properties("operation")))
    service = _object({**_properties("service"), "operations": operations})
    slug = f"^{SLUG_PATTERN.pattern}$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plans, services, operations and operators of paid-endpoint",
        **_object(
            {
                "version": {"const": 1},
                "exported_state": {"type": "string"},
                "plans": _by_name(slug, _object(_properties("plan"))),
                "services": _by_name(slug, service),
                "operators": _by_name("^[^@]+@[^@]+$", {**_object(_properties("operator")), "required": ["role"]}),
            }
        ),
    }


def _properties(kind: str) -> dict[str, Any]:
    return {field.name: {"description": field.help, **_type(field)} for field in FIELDS[kind]}


def _type(field: Field) -> dict[str, Any]:
    if field.name in LIMIT_FIELDS:
        return _by_name(f"^{NAME.pattern}$", {"type": "string"})
    if field.kind == "prices":
        price = _object({each.name: {"description": each.help, **_type(each)} for each in PRICE})
        return _by_name(f"^{SLUG_PATTERN.pattern}$", _by_name(_OPERATION, price))
    if field.kind == "number":
        kind = ["integer", "null"] if field.nullable else "integer"
        return {"type": kind, "minimum": field.least, "maximum": field.most}
    if field.kind == "text":
        return {"enum": list(field.choices)} if field.choices else {"type": "string", "maxLength": field.longest}
    return _TYPES[field.kind]


def _by_name(pattern: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {pattern: value}, "additionalProperties": False}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}

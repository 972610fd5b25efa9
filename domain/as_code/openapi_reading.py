"""An OpenAPI description, 3.0 or 3.1, JSON or YAML, as what a service can be made of. Never fetches anything."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from domain.as_code.openapi_paths import pattern_of
from domain.as_code.parsing import shape_of
from domain.as_code.yaml_reading import Node, Scalar, Sequence, read_yaml
from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue
from domain.names import valid_name

LARGEST_SPEC = 20 * 1024 * 1024
"""Bytes."""
DEEPEST = 500
MOST_OPERATIONS = 5_000
"""As many as the catalog shows of all services."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
CREDITS = "x-credits"


@dataclass(frozen=True, slots=True)
class SpecOperation:
    """One operation by its key (`GET /items/{id}`); `name` and `price_micro` are None where the spec says nothing."""

    key: str
    name: str | None
    price_micro: int | None


@dataclass(slots=True)
class Spec:
    """What is read of a spec; `server` is empty without an absolute URL. `notes` say what was left out or widened."""

    title: str = ""
    description: str = ""
    version: str = ""
    server: str = ""
    operations: list[SpecOperation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_spec(text: str) -> Spec:
    """What a spec describes. Raises InvalidValue (Mistaken for what is neither JSON nor YAML)."""
    data = _data(text)
    if isinstance(data, dict) and "swagger" in data:
        raise InvalidValue("This is Swagger 2.0, which came before OpenAPI. Convert it to OpenAPI 3.0 or 3.1 first.")
    if not isinstance(data, dict) or not re.match(r"3\.[01](\.|$)", str(data.get("openapi"))):
        raise InvalidValue("This is no OpenAPI description of version 3.0 or 3.1: its field openapi says so.")
    info = _mapping(data.get("info"))
    spec = Spec(
        title=_one_line(info.get("title"), 120),
        description=_one_line(info.get("summary") or info.get("description"), 500),
        version=_one_line(info.get("version"), 50),
        server=_server(data.get("servers")),
    )
    names: set[str] = set()
    shapes: dict[str, str] = {}
    for template, item in _mapping(data.get("paths")).items():
        _read_path(spec, data, str(template), _resolved(data, item), names, shapes)
    if len(spec.operations) > MOST_OPERATIONS:
        raise InvalidValue(f"The spec has {len(spec.operations)} operations; a service has at most {MOST_OPERATIONS}.")
    return spec


def _read_path(
    spec: Spec, data: dict[str, Any], template: str, item: Any, names: set[str], shapes: dict[str, str]
) -> None:
    if template.startswith("x-"):
        return
    if not isinstance(item, dict):
        spec.notes.append(f"{template[:120]}: left out, its description is not in the file.")
        return
    methods = [method for method in METHODS if isinstance(item.get(method), dict)]
    try:
        pattern, broader = pattern_of(template)
    except (InvalidValue, UnicodeDecodeError) as fault:
        if methods:
            spec.notes.append(f"{template[:120]}: left out. {fault}")
        return
    if broader and methods:
        spec.notes.append(f"{template[:120]}: {pattern} matches more than that.")
    for method in methods:
        key = f"{method.upper()} {pattern}"
        other = shapes.setdefault(shape_of(key), template)
        if other != template:
            spec.notes.append(
                f"{method.upper()} {template[:120]}: left out, it matches the same requests as {other[:120]}."
            )
            continue
        spec.operations.append(_operation(spec, key, [item[method], item, data], names))


def _operation(spec: Spec, key: str, levels: list[dict[str, Any]], names: set[str]) -> SpecOperation:
    """`levels`: the operation, its path and the whole spec; the nearest price holds."""
    found = next((level[CREDITS] for level in levels if level.get(CREDITS) is not None), None)
    price = None
    if found is not None:
        try:
            price = parse_credits(str(found))
        except InvalidValue as fault:
            raise InvalidValue(f"{key}: {CREDITS}: {fault}") from None
    name = levels[0].get("operationId")
    if name is not None:
        try:
            name = valid_name(str(name))
        except InvalidValue as fault:
            spec.notes.append(f"{key}: named after its path. {fault}")
            name = None
    if name in names:
        spec.notes.append(f"{key}: named after its path, another operation is named {name}.")
        name = None
    names.add(name or key)
    return SpecOperation(key, name, price)


def _data(text: str) -> Any:
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_SPEC:
        raise InvalidValue(f"The spec is larger than {LARGEST_SPEC} bytes.")
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            pass  # Perhaps YAML in braces; if not, its reader says where.
    return _plain(read_yaml(text, largest=LARGEST_SPEC, deepest=DEEPEST))


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return None if node.is_null else node.text
    if isinstance(node, Sequence):
        return [_plain(part) for part in node.parts]
    return {name.text: _plain(part) for name, part in node.parts}


def _resolved(data: dict[str, Any], item: Any) -> Any:
    """A path item, also behind references within the spec; None for one elsewhere, or one that leads in a circle."""
    for _ in range(10):
        if not isinstance(item, dict) or not isinstance(item.get("$ref"), str):
            return item
        reference = item["$ref"]
        if not reference.startswith("#/"):
            return None
        item = data
        for part in reference[2:].split("/"):
            item = _mapping(item).get(part.replace("~1", "/").replace("~0", "~"))
    return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _one_line(value: Any, longest: int) -> str:
    """The first paragraph as one line of printable characters."""
    text = " ".join(str(value or "").strip().split("\n\n", maxsplit=1)[0].split())
    return "".join(sign for sign in text if sign.isprintable())[:longest].strip()


def _server(servers: Any) -> str:
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = str(_mapping(first).get("url") or "")
    return url if url.startswith(("http://", "https://")) and "{" not in url else ""

"""One field's value from its node, brought to one form; what is wrong with it becomes a mistake."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from domain.as_code.fields import Field
from domain.as_code.mistakes import Mistake, Place, did_you_mean
from domain.as_code.yaml_reading import Mapping, Node, Scalar, Sequence
from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue
from domain.limit_texts import LimitSpec, parse_limit, parse_limits
from domain.names import valid_name, valid_slug
from domain.route_prefixes import valid_prefix
from domain.upstream_urls import valid_weighted_upstream

WRONG = object()
"""Instead of a value that cannot be read."""
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_CHECKS: dict[str, Callable[[str], str]] = {"name": valid_name, "prefix": valid_prefix, "minimum_plan": valid_slug}


def read_value(field: Field, node: Node, mistakes: list[Mistake]) -> Any:
    """The value of a field that is neither limits nor prices, or WRONG."""
    try:
        return _texts(field, node) if field.kind == "texts" else _one_value(field, node)
    except InvalidValue as fault:
        mistakes.append(Mistake(node.place, _about(field, str(fault))))
        return WRONG


def limit_of(field_name: str, name: str, text: str) -> LimitSpec:
    """The limit of this name in one of the four fields of limits. Raises InvalidValue."""
    written = f"{name}={text}"
    if field_name in {"limits", "shadow_limits"}:
        return parse_limit(written, shadow=field_name == "shadow_limits")
    return replace(parse_limits([], [], [written])[0], shadow=field_name == "shadow_quotas")


def _one_value(field: Field, node: Node) -> Any:
    if not isinstance(node, Scalar):
        raise InvalidValue(f"{field.name} is one value, not a list or a mapping.")
    if node.is_null and field.nullable:
        return None
    if node.is_null and node.text == "" and field.kind == "text":
        return ""
    return _READERS[field.kind](field, node)


def _about(field: Field, sentence: str) -> str:
    return sentence if sentence.startswith((field.name, "'")) else f"{field.name}: {sentence}"


def _flag(field: Field, node: Scalar) -> bool:
    if node.text not in {"true", "false"} or not node.plain:
        raise InvalidValue(f"{field.name} is true or false.")
    return node.text == "true"


def _number(field: Field, node: Scalar) -> int:
    if not (node.plain and _NUMBER.fullmatch(node.text) and field.least <= int(node.text) <= field.most):
        raise InvalidValue(f"{field.name} is a whole number from {field.least} to {field.most}.")
    return int(node.text)


def _credits(field: Field, node: Scalar) -> int:
    del field
    return parse_credits(node.text)


def _text(field: Field, node: Scalar) -> str:
    if node.is_null:
        raise InvalidValue(f'{field.name} is a text: write "" for none.')
    text = _clean(node.text)
    if field.choices and text not in field.choices:
        raise InvalidValue(f"{field.name} is {' or '.join(field.choices)}.{did_you_mean(text, field.choices)}")
    if len(text) > field.longest:
        raise InvalidValue(f"{field.name} has at most {field.longest} characters.")
    check = _CHECKS.get(field.name)
    return check(text) if check else text


def _texts(field: Field, node: Node) -> tuple[str, ...]:
    if not isinstance(node, Sequence) or not all(isinstance(part, Scalar) for part in node.parts):
        raise InvalidValue(f"{field.name} is a list of texts: write [] for none.")
    found = [_clean(part.text) for part in node.parts if isinstance(part, Scalar)]
    if field.name == "upstreams":
        found = [valid_weighted_upstream(text) for text in found]
        if not found:
            raise InvalidValue("A service has 1 to 64 upstreams.")
    if len(set(found)) < len(found):
        raise InvalidValue(f"{field.name} has one value twice.")
    return tuple(found)


def _clean(text: str) -> str:
    if "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidValue("A text holds no zero character and no half of a character.")
    return text


_READERS: dict[str, Callable[[Field, Scalar], Any]] = {
    "flag": _flag, "number": _number, "credits": _credits, "text": _text, "plan": _text,
}  # fmt: skip


def parts_by_name(node: Node, what: str, mistakes: list[Mistake]) -> list[tuple[str, Place, Node]]:
    """The parts of a mapping, each name once; nothing for a node that is left empty."""
    if isinstance(node, Scalar) and node.is_null:
        return []
    if not isinstance(node, Mapping):
        mistakes.append(Mistake(node.place, f"{what} is a mapping of names to values: write {{}} for none."))
        return []
    seen: dict[str, Place] = {}
    for name, _ in node.parts:
        if name.text in seen:
            first = seen[name.text]
            mistakes.append(Mistake(name.place, f"{name.text[:80]} stands here twice; first in line {first.line}."))
        seen.setdefault(name.text, name.place)
    kept: dict[str, tuple[str, Place, Node]] = {}
    for name, part in node.parts:
        kept.setdefault(name.text, (name.text, name.place, part))
    return list(kept.values())

"""Path templates of OpenAPI as path patterns of operations."""

import re
from urllib.parse import quote, unquote

from domain.faults import InvalidValue
from domain.path_patterns import valid_pattern

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_UNESCAPED = "!$&'()+,;=:@-._~"


def pattern_of(template: str) -> tuple[str, bool]:
    """The pattern that matches what a template does, and whether it matches more than that.

    A part of a segment cannot be a parameter here, so `/files/{name}.json` becomes `/files/{name}`. `{path*}`, `{+path}`
    and `{path...}` at the end are the whole rest. Raises InvalidValue for what no pattern can match.
    """
    shown = f"'{template[:120]}'"
    if not template.startswith("/") or "?" in template or "#" in template:
        raise InvalidValue(f"{shown} is no path: it begins with a slash, and has no query or fragment.")
    segments = template[1:].split("/")
    taken: set[str] = set()
    broader = False
    made = []
    for place, segment in enumerate(segments):
        names = _PARAMETER.findall(segment)
        if not names and "*" not in segment and not set(segment) & set("{}"):
            made.append(quote(unquote(segment, errors="strict"), safe=_UNESCAPED))
            continue
        whole = len(names) == 1 and segment == f"{{{names[0]}}}"
        if whole and place == len(segments) - 1 and (names[0].startswith("+") or names[0].endswith(("*", "..."))):
            made.append("*")
            continue
        broader = broader or not whole
        made.append(f"{{{_free_name('_'.join(names), taken)}}}")
    return valid_pattern("/" + "/".join(made)), broader


def _free_name(text: str, taken: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:50] or "part"
    stem = f"_{stem}" if stem[0].isdigit() else stem
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name

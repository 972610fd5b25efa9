"""YAML as a tree with positions. Nothing is built from tags, and no alias is followed: a small file stays small.

Scalars stay as they are written (`no`, `1.10` and `0.05` are texts), so that a field decides what they mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from domain.as_code.mistakes import START, Mistake, Mistaken, Place

LARGEST_FILE = 5 * 1024 * 1024
"""Bytes."""
DEEPEST = 64
MOST_NODES = 1_000_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Scalar:
    """One value; `plain`: written without quotes."""

    place: Place
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """Written as nothing: `~`, `null`, or left out."""
        return self.plain and self.text in {"", "~", "null"}


@dataclass(slots=True)
class Sequence:
    """Several values."""

    place: Place
    parts: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Values by name, in the order of the file; a name may stand twice."""

    place: Place
    parts: list[tuple[Scalar, "Node"]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


def read_yaml(text: str, *, largest: int = LARGEST_FILE, deepest: int = DEEPEST) -> Node:
    """The one document of a text. Raises Mistaken for what is no YAML, and for anchors, aliases, tags and great depth."""
    if len(text.encode("utf-8", "surrogatepass")) > largest:
        raise Mistaken([Mistake(START, f"The file is larger than {largest} bytes.")])
    try:
        return _tree(yaml.parse(text, Loader=_LOADER), deepest)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else START
        raise Mistaken([Mistake(place, f"This is no YAML: {error.problem or error.context}.")]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise Mistaken([Mistake(START, f"This is no YAML: {str(error).splitlines()[0]}.")]) from None


def _tree(events: Iterator[Any], deepest: int) -> Node:
    roots: list[Node] = []
    open_nodes: list[Sequence | Mapping] = []
    names: list[Scalar | None] = []
    count = 0
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            node = _node(event)
            count += 1
            if count > MOST_NODES:
                _refuse(node.place, f"A file has at most {MOST_NODES} names and values.")
            if not open_nodes:
                roots.append(node)
            else:
                _put(open_nodes[-1], names, node)
            if not isinstance(node, Scalar):
                open_nodes.append(node)
                names.append(None)
            if len(open_nodes) > deepest:
                _refuse(node.place, f"This is nested more than {deepest} levels deep.")
            if len(roots) > 1:
                _refuse(node.place, "A file is one document; a second one begins here.")
        elif isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
            names.pop()
    return roots[0] if roots else Mapping(START)


def _node(event: Any) -> Node:
    place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
    if isinstance(event, yaml.AliasEvent):
        _refuse(place, "Aliases are not read: write the value again.")
    if event.anchor is not None:
        _refuse(place, "Anchors are not read: write the value where it is needed.")
    if event.tag is not None and event.tag != "!":
        _refuse(place, f"The tag {event.tag[:80]} is not read: write the plain value.")
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(place, event.value, plain=not event.style)
    return Mapping(place) if isinstance(event, yaml.MappingStartEvent) else Sequence(place)


def _put(parent: Sequence | Mapping, names: list[Scalar | None], node: Node) -> None:
    if isinstance(parent, Sequence):
        parent.parts.append(node)
        return
    name = names[-1]
    if name is not None:
        parent.parts.append((name, node))
        names[-1] = None
    elif isinstance(node, Scalar):
        names[-1] = node
    else:
        _refuse(node.place, "A name is a text, not a list or a mapping.")


def _refuse(place: Place, text: str) -> NoReturn:
    raise Mistaken([Mistake(place, text)])

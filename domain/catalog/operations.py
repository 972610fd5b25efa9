"""Operations of one service as a tree over path segments.

In each segment a literal goes before `{param}` with text around it, that before `{param}` alone, and that before a
final `*`, which takes any rest. At the end the exact method goes before GET for HEAD, and that before `*`. A branch
that ends without the method is left for the next best. Two spellings that common upstreams read alike match alike,
because a price must not hang on them: a trailing slash, and `;parameters` behind a literal segment.
"""

import logging
from collections.abc import Iterable

from domain.paths import canonical_path
from domain.refusals import MalformedRequest
from domain.snapshots import OperationSnapshot

_log = logging.getLogger(__name__)

_Methods = dict[bytes, OperationSnapshot]


class _Node:
    __slots__ = ("any_rest", "literals", "methods", "param", "partial")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.partial: list[tuple[bytes, bytes, _Node]] = []
        self.param: _Node | None = None
        self.any_rest: _Methods = {}
        self.methods: _Methods = {}


class OperationTree:
    """Immutable after it is made. A pattern that no path can have is left out, and logged."""

    __slots__ = ("_empty", "_root")

    def __init__(self, operations: Iterable[OperationSnapshot]) -> None:
        self._root = _Node()
        self._empty = True
        for operation in operations:
            try:
                _plant(self._root, operation)
            except (MalformedRequest, ValueError):
                _log.error("operation %s has a path pattern that cannot match: ignored", operation.id)
            else:
                self._empty = False

    def find(self, method: bytes, rest: bytes) -> OperationSnapshot | None:
        """The operation for the canonical path behind the prefix; None: the service's default operation."""
        if self._empty:
            return None
        segments = rest[1:].split(b"/")
        found = _first_way(self._root, segments, method) or _search(self._root, segments, 0, method)
        if found is not None:
            return found
        if segments[-1]:
            segments.append(b"")
        elif len(segments) > 1:
            segments.pop()
        else:
            return None
        return _search(self._root, segments, 0, method)


def _first_way(node: _Node, segments: list[bytes], method: bytes) -> OperationSnapshot | None:
    """What `_search` finds if it need not turn back; None says nothing."""
    for segment in segments:
        child = node.literals.get(segment)
        if child is None:
            if node.partial or not segment or b";" in segment:
                return None
            child = node.param
            if child is None:
                return None
        node = child
    return _of_method(node.methods, method) if node.methods else None


def _search(node: _Node, segments: list[bytes], depth: int, method: bytes) -> OperationSnapshot | None:
    if depth == len(segments):
        return _of_method(node.methods, method) if node.methods else None
    segment = segments[depth]
    bare = segment.partition(b";")[0] if b";" in segment else segment
    literals = node.literals
    if literals:
        child = literals.get(segment) or literals.get(bare)
        if child is not None and (found := _search(child, segments, depth + 1, method)) is not None:
            return found
    if segment:
        for before, behind, child in node.partial:
            fits = len(bare) > len(before) + len(behind) and bare.startswith(before) and bare.endswith(behind)
            if fits and (found := _search(child, segments, depth + 1, method)) is not None:
                return found
        if node.param is not None and (found := _search(node.param, segments, depth + 1, method)) is not None:
            return found
    return _of_method(node.any_rest, method) if node.any_rest else None


def _of_method(methods: _Methods, method: bytes) -> OperationSnapshot | None:
    found = methods.get(method)
    if found is None and method == b"HEAD":
        found = methods.get(b"GET")
    return found or methods.get(b"*")


def _plant(root: _Node, operation: OperationSnapshot) -> None:
    pattern = operation.path_pattern
    if not pattern.startswith("/"):
        raise ValueError(pattern)
    segments = pattern[1:].split("/")
    node = root
    methods = None
    for position, segment in enumerate(segments):
        if segment == "*" and position == len(segments) - 1:
            methods = node.any_rest
        else:
            node = _child(node, segment)
    methods = node.methods if methods is None else methods
    methods.setdefault(operation.method.encode(), operation)


def _child(node: _Node, segment: str) -> _Node:
    opening, closing = segment.find("{"), segment.rfind("}")
    if opening < 0 or closing < opening:
        return node.literals.setdefault(_literal(segment), _Node())
    before, behind = _literal(segment[:opening]), _literal(segment[closing + 1 :])
    if not before and not behind:
        node.param = node.param or _Node()
        return node.param
    for known_before, known_behind, child in node.partial:
        if (known_before, known_behind) == (before, behind):
            return child
    child = _Node()
    node.partial.append((before, behind, child))
    node.partial.sort(key=lambda entry: -len(entry[0]) - len(entry[1]))
    return child


def _literal(text: str) -> bytes:
    """Canonical bytes of a literal as an operator wrote it: plain, escaped, or in any script."""
    if not text:
        return b""
    escaped = b"".join(bytes((byte,)) if 0x20 < byte < 0x7F else b"%%%02X" % byte for byte in text.encode())
    return canonical_path(b"/" + escaped)[1:]

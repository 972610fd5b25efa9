"""Which service and operation a canonical path belongs to: an immutable index, the same cost for ten or a thousand."""

from collections.abc import Iterable

from domain.catalog.operations import OperationTree
from domain.snapshots import Match, ServiceSnapshot


class RouteIndex:
    """All services by `route_prefix`, each with the tree of its operations. Disabled ones match too."""

    __slots__ = ("_nodes", "services")

    def __init__(self, services: Iterable[ServiceSnapshot]) -> None:
        self.services = tuple(services)
        # A prefix of a prefix stands here as None: the walk goes on from it, and stops at a path that is not here.
        self._nodes: dict[bytes, tuple[ServiceSnapshot, OperationTree] | None] = {}
        for service in self.services:
            self._nodes[service.route_prefix] = (service, OperationTree(service.operations))
        for prefix in tuple(self._nodes):
            end = prefix.rfind(b"/")
            while end > 0:
                self._nodes.setdefault(prefix[:end], None)
                end = prefix.rfind(b"/", 0, end)

    def match(self, method: bytes, path: bytes) -> Match | None:
        """The service with the longest prefix of whole segments, and its operation or None for the default one."""
        found = self._longest(path)
        if found is None:
            return None
        service, operations = found
        if b";" in path:
            # An upstream that ignores `;parameters` reads another prefix than the one that we would sell.
            bare = self._longest(_without_parameters(path))
            if bare is not found:
                return None
        rest = path[len(service.route_prefix) :]
        return Match(service, operations.find(method, rest), rest)

    def _longest(self, path: bytes) -> tuple[ServiceSnapshot, OperationTree] | None:
        nodes = self._nodes
        found = None
        end = path.find(b"/", 1)
        while end > 0:
            head = path[:end]
            if head not in nodes:
                return found
            found = nodes[head] or found
            end = path.find(b"/", end + 1)
        return nodes.get(path) or found


def _without_parameters(path: bytes) -> bytes:
    return b"/".join([segment.partition(b";")[0] for segment in path.split(b"/")])

"""Which service and operation a canonical path belongs to: an immutable index, the same cost for ten or a thousand."""

from collections.abc import Iterable

from domain.catalog.operations import OperationTree
from domain.snapshots import Match, ServiceSnapshot


class RouteIndex:
    """All services by `route_prefix`, each with the tree of its operations. Disabled ones match too."""

    __slots__ = ("_between", "_sold", "services")

    def __init__(self, services: Iterable[ServiceSnapshot]) -> None:
        self.services = tuple(services)
        self._sold = {service.route_prefix: (service, OperationTree(service.operations)) for service in self.services}
        # What a longer prefix begins with: the walk goes on from it, and stops at a path that is in neither.
        self._between: set[bytes] = set()
        for prefix in self._sold:
            end = prefix.rfind(b"/")
            while end > 0:
                self._between.add(prefix[:end])
                end = prefix.rfind(b"/", 0, end)

    def match(self, method: bytes, path: bytes) -> Match | None:
        """The service with the longest prefix of whole segments, and its operation or None for the default one."""
        found = self._longest(path)
        if found is None:
            return None
        if b";" in path and self._longest(_without_parameters(path)) is not found:
            # An upstream that ignores `;parameters` reads another prefix than the one that we would sell.
            return None
        service, operations = found
        rest = path[len(service.route_prefix) :]
        return Match(service, operations.find(method, rest), rest)

    def _longest(self, path: bytes) -> tuple[ServiceSnapshot, OperationTree] | None:
        sold, between = self._sold, self._between
        found = None
        end = path.find(b"/", 1)
        while end > 0:
            head = path[:end]
            here = sold.get(head)
            if here is not None:
                found = here
            if head not in between:
                return found
            end = path.find(b"/", end + 1)
        return sold.get(path) or found


def _without_parameters(path: bytes) -> bytes:
    return b"/".join([segment.partition(b";")[0] for segment in path.split(b"/")])

"""A Redis Cluster of local Valkeys: three masters, replicas if wanted, slots that move."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.valkeys import OwnValkey

MASTERS = 3
SLOTS = 16_384
WAIT_SECONDS = 30.0


class Cluster:
    """`nodes` are the masters, then the replicas, each of the master in its place."""

    def __init__(self, folder: Path, *, replicas: bool) -> None:
        self.nodes = [OwnValkey() for _ in range(2 * MASTERS if replicas else MASTERS)]
        self._folder = folder

    @property
    def url(self) -> str:
        """Of the first node; the others are found from there."""
        return self.nodes[0].url.replace("redis://", "redis+cluster://")

    def start(self) -> None:
        """Start, meet, share the slots, and wait until every node agrees."""
        for number, node in enumerate(self.nodes):
            (self._folder / str(number)).mkdir()
            node.start(
                *(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-replica-validity-factor",
                    "0",
                ),
                *("--dir", str(self._folder / str(number)), "--cluster-config-file", "nodes.conf"),
            )
        for node in self.nodes[1:]:
            node.command("CLUSTER", "MEET", "127.0.0.1", str(self.nodes[0].port))
        for number, node in enumerate(self.nodes[:MASTERS]):
            first, last = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        self._until(lambda: all(self._knows(node) for node in self.nodes), "the nodes did not meet")
        for number, node in enumerate(self.nodes[MASTERS:]):
            node.command("CLUSTER", "REPLICATE", self.id_of(self.nodes[number]))
        self._until(lambda: all(self._whole(node) for node in self.nodes), "the cluster did not form")

    def stop(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()

    def id_of(self, node: OwnValkey) -> str:
        """A node's name in the cluster."""
        return str(_text(node.command("CLUSTER", "MYID")))

    def slot(self, key: str) -> int:
        """A key's slot."""
        return int(self.nodes[0].command("CLUSTER", "KEYSLOT", key))  # type: ignore[call-overload]

    def owner(self, slot: int, asked: OwnValkey | None = None) -> OwnValkey:
        """The master of a slot, in the eyes of one node."""
        ranges = (asked or self.nodes[0]).command("CLUSTER", "SLOTS")
        port = next(master[1] for first, last, master, *_ in ranges if first <= slot <= last)  # type: ignore[attr-defined]
        return next(node for node in self.nodes if node.port == port)

    def move(self, slot: int, *, midway: object = None) -> OwnValkey:
        """Give a slot with its keys to another master, as an operator would; `midway` is called when half is moved."""
        source = self.owner(slot)
        target = next(node for node in self.nodes[:MASTERS] if node is not source)
        target.command("CLUSTER", "SETSLOT", str(slot), "IMPORTING", self.id_of(source))
        source.command("CLUSTER", "SETSLOT", str(slot), "MIGRATING", self.id_of(target))
        if callable(midway):
            midway()
        while names := source.command("CLUSTER", "GETKEYSINSLOT", str(slot), "100"):
            source.command("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *map(_text, names))  # type: ignore[call-overload]
        for node in (target, source, *self.nodes[:MASTERS]):
            node.command("CLUSTER", "SETSLOT", str(slot), "NODE", self.id_of(target))
        return target

    def _knows(self, node: OwnValkey) -> bool:
        return _text(node.command("CLUSTER", "INFO")).count(f"cluster_known_nodes:{len(self.nodes)}\r") == 1

    def _whole(self, node: OwnValkey) -> bool:
        replicas = len(self.nodes) - MASTERS
        nodes = _text(node.command("CLUSTER", "NODES"))
        return "cluster_state:ok" in _text(node.command("CLUSTER", "INFO")) and nodes.count("slave") == replicas

    def _until(self, holds: object, what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds():  # type: ignore[operator]
            assert time.monotonic() < deadline, what
            time.sleep(0.02)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def cluster(folder: Path, *, replicas: bool = False) -> Iterator[Cluster]:
    """A running cluster in an empty folder."""
    made = Cluster(folder, replicas=replicas)
    try:
        made.start()
        yield made
    except redis.RedisError as fault:
        raise AssertionError(f"the cluster failed: {fault}") from fault
    finally:
        made.stop()

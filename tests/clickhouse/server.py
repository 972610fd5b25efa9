"""A ClickHouse of the tests' own: started once for each test process, killed and started again by tests that want that."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "logs", "p'ss wörd"
_PATIENCE_SECONDS = 60.0


class ClickHouseServer:
    """The engine's process and where it listens; its port and its folder stay over a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, database: str) -> str:
        """What LOG_STORE_URL says for one database."""
        return f"clickhouse://{USER}:p%27ss%20w%C3%B6rd@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "tests.clickhouse.engine", str(self.folder), str(self.port), USER, PASSWORD]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, f"ClickHouse does not answer within {_PATIENCE_SECONDS} s"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End it, if it runs."""
        if self.process is not None:
            self.kill()

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"ClickHouse's engine ended with {self.process.returncode}")
        try:
            return httpx2.get(self.base, timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False


@contextmanager
def clickhouse_server() -> Iterator[ClickHouseServer]:
    """A server of one's own, running."""
    folder = Path(tempfile.mkdtemp(prefix="paid-endpoint-clickhouse-"))
    server = ClickHouseServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port

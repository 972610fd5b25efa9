"""A program of ours as a child: the gateway, the portal, the demo upstream."""

import http.client
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cli.supervisor.processes import spawn
from cli.supervisor.server import Server


class Child(Server):
    """`python -m ARGUMENTS`, logging to its own file, ready when `path` on its port answers 200."""

    def __init__(
        self,
        title: str,
        arguments: Sequence[str],
        *,
        log_path: Path,
        port: int,
        path: str,
        on_poll: Callable[[], None],
        ready_seconds: float = 60.0,
    ) -> None:
        super().__init__(log_path, on_poll)
        self.title = title
        self.port = port
        self._arguments = list(arguments)
        self._path = path
        self._ready_seconds = ready_seconds

    def start(self) -> None:
        """Start and wait until it is ready. Raise SupervisorError with its last lines otherwise."""
        self.launch()
        self.await_ready(self.answers, self._ready_seconds)

    def launch(self) -> None:
        """Start without waiting. It reads its settings as we do, from the same environment and files."""
        with self.log_for_child() as log:
            self.process = spawn(
                [sys.executable, "-m", *self._arguments], directory=Path.cwd(), log=log, environment=None
            )

    def reload(self) -> None:
        """Pass SIGHUP on."""
        if self.process is not None and self.running:
            self.process.send_signal(signal.SIGHUP)

    def tell_to_stop(self) -> None:
        """Send the signal that ends it, without waiting."""
        if self.process is not None and self.running:
            self.process.send_signal(self.stop_signal)

    def answers(self) -> bool:
        """Whether it is ready now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self._path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

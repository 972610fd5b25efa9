"""An embedded Valkey: never evicts, keeps an append-only file (in `dev`), asks for a password."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from cli.supervisor.account import Account, account_for, make_private_directory
from cli.supervisor.binaries import valkey_program
from cli.supervisor.failures import SupervisorError
from cli.supervisor.ports import require_free
from cli.supervisor.processes import end_stranger, spawn, start_ticks, working_directory
from cli.supervisor.server import Profile, Server, disk_full


class ValkeyServer(Server):
    """Listens on 127.0.0.1 only. Its configuration goes in by standard input, so no list of processes shows it."""

    title = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        directory: Path,
        log_path: Path,
        port: int,
        password: str,
        profile: Profile = "dev",
        on_poll: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(log_path, on_poll)
        self.directory = directory.resolve()
        self.port = port
        self.profile = profile
        self._password = password
        self._account: Account | None = None

    def url(self, number: int = 0) -> str:
        """Redis URL of the database with that number."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{number}"

    def start(self) -> None:
        """Start and wait until it answers PING, that is until the append-only file is loaded."""
        self._account = account_for(self.directory)
        program = valkey_program(self._account)
        make_private_directory(self.directory, self._account)
        self._end_orphan()
        require_free(self.port, self.title)
        with self.log_for_child() as log:
            self.process = spawn(
                [str(program), "-"],
                directory=self.directory,
                log=log,
                environment={"LC_ALL": "C"},
                account=self._account,
                standard_input=self._configuration().encode(),
            )
        try:
            self._pid_file.write_text(f"{self.process.pid} {start_ticks(self.process.pid)}\n")
        except OSError as error:
            self.stop()
            raise disk_full(self.title, self.directory) from error
        self.await_ready(self._answers)

    def stop(self, seconds: float = 8.0) -> None:
        """End it and remove its pid file."""
        super().stop(seconds)
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self.directory.parent / "valkey.pid"

    def _configuration(self) -> str:
        return (
            f"bind 127.0.0.1\nport {self.port}\nprotected-mode yes\nrequirepass {self._password}\n"
            "dir .\ndaemonize no\nsave ''\nmaxmemory-policy noeviction\ndatabases 64\n"
            f"appendonly {'yes' if self.profile == 'dev' else 'no'}\nappendfsync everysec\n"
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    received = connection.recv(256)
                    if not received:
                        return False
                    answer += received
        except OSError:
            return False
        return b"+PONG" in answer

    def _end_orphan(self) -> None:
        try:
            pid, _, ticks = self._pid_file.read_text().strip().partition(" ")
        except OSError:
            return
        ours = pid.isdigit() and str(start_ticks(int(pid))) == ticks and working_directory(int(pid)) == self.directory
        if ours and not end_stranger(int(pid), (signal.SIGTERM, signal.SIGKILL), 5.0):
            raise SupervisorError(
                f"A Valkey that an earlier start left behind (process {pid}) does not end.", "End it, then start again."
            )

    def explain(self, what: str) -> SupervisorError:
        """As for any server; a full disk has other words here."""
        words = self.last_words()
        if "No space left" in words or "Disk is full" in words:
            return disk_full(self.title, self.directory)
        return super().explain(what)

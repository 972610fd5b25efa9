"""An embedded PostgreSQL: made, started, restarted, and rid of what a crash left."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cli.supervisor.account import Account, account_for, make_private_directory
from cli.supervisor.binaries import PostgresPrograms, postgres_programs
from cli.supervisor.failures import SupervisorError
from cli.supervisor.ports import require_free
from cli.supervisor.postgres_leftovers import clear_leftovers, pid_file_fields
from cli.supervisor.processes import POLL_SECONDS, spawn
from cli.supervisor.server import Profile, Server, disk_full

SUPERUSER = "postgres"
_NEEDED_BYTES = 100_000_000
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
_FLAGS: dict[Profile, dict[str, str]] = {
    "dev": {"shared_buffers": "128MB", "max_connections": "200"},
    "test": {
        "shared_buffers": "64MB",
        "max_connections": "200",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    },
}


class PostgresServer(Server):
    """Listens on 127.0.0.1 only, no unix socket, SCRAM passwords, data readable by its account only."""

    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # fast shutdown; SIGTERM would wait for every pool to hang up

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

    def url(self, database: str = "postgres") -> str:
        """DSN of the superuser."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self, *, reset_password: bool = False) -> None:
        """Make the cluster if there is none, clear what a crash left, start, and wait until it takes connections.

        `reset_password` sets the superuser's password anew, for when the file that held it was lost.
        """
        self._account = account_for(self.directory)
        programs = postgres_programs(self._account)
        if (self.directory / "PG_VERSION").exists():
            self._require_version(programs)
            self._clear_leftovers()
        else:
            self._make_cluster(programs)
        if reset_password:
            self._reset_password(programs)
        require_free(self.port, self.title)
        deadline = time.monotonic() + 10
        while True:
            self._launch(programs)
            try:
                self.await_ready(self._ready)
            except SupervisorError:
                # Children of a killed postmaster hold its shared memory for a moment longer than it lives.
                if "shared memory block" not in self.last_words() or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS * 10)
                continue
            return

    def _launch(self, programs: PostgresPrograms) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **_FLAGS[self.profile],
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log_for_child() as log:
            self.process = spawn(
                [str(programs.postgres), "-D", self._seen_directory, "-p", str(self.port), *flags],
                directory=self.directory,
                log=log,
                environment=_ENVIRONMENT,
                account=self._account,
                at_our_death=signal.SIGINT,
            )

    @property
    def _seen_directory(self) -> str:
        # A lent account cannot walk through our private directories, but may stand in its own, where we put it.
        return "/proc/self/cwd" if self._account and sys.platform == "linux" else str(self.directory)

    def _ready(self) -> bool:
        fields = pid_file_fields(self.directory)
        return (
            self.process is not None
            and len(fields) > 7
            and fields[0] == str(self.process.pid)
            and fields[7].strip() == "ready"
        )

    def _require_version(self, programs: PostgresPrograms) -> None:
        found = (self.directory / "PG_VERSION").read_text().strip()
        if found != str(programs.major):
            raise SupervisorError(
                f"{self.directory} was made by PostgreSQL {found}; the one that runs here is {programs.major}.",
                f"Dump it with PostgreSQL {found} (pg_dumpall) and restore, or move the directory away to start anew, "
                "or set DATABASE_URL to a server of that version.",
            )

    def _clear_leftovers(self) -> None:
        if not clear_leftovers(self.directory):
            raise SupervisorError(
                f"A PostgreSQL that an earlier start left behind in {self.directory} does not end.",
                "End the process whose id is the first line of postmaster.pid there, then start again.",
            )

    def _make_cluster(self, programs: PostgresPrograms) -> None:
        parent = self.directory.parent
        if shutil.disk_usage(parent).free < _NEEDED_BYTES:
            raise disk_full(self.title, parent)
        unfinished = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_directory(unfinished, self._account)
        try:
            self._initdb(programs, unfinished)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        if self.directory.exists():
            self.directory.rmdir()
        unfinished.rename(self.directory)

    def _initdb(self, programs: PostgresPrograms, directory: Path) -> None:
        seen = "/proc/self/cwd" if self._account and sys.platform == "linux" else str(directory)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []
        durability = ["--no-sync"] if self.profile == "test" else []
        with tempfile.TemporaryFile() as secret:
            secret.write(f"{self._password}\n".encode())
            secret.seek(0)
            if self._account:
                os.fchown(secret.fileno(), self._account.uid, self._account.gid)
            finished = subprocess.run(
                [
                    *(str(programs.initdb), "-D", seen, "-U", SUPERUSER, f"--pwfile=/dev/fd/{secret.fileno()}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", *locale, *durability),
                ],
                pass_fds=(secret.fileno(),),
                cwd=directory,
                env=_ENVIRONMENT,
                capture_output=True,
                check=False,
                start_new_session=True,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        with self.log_path.open("ab") as file:
            file.write(finished.stdout + finished.stderr)
        self._on_poll()
        if finished.returncode != 0:
            raise self.explain("could not make its data directory")

    def _reset_password(self, programs: PostgresPrograms) -> None:
        with self.log_for_child() as log:
            subprocess.run(
                [str(programs.postgres), "--single", "-D", self._seen_directory, "postgres"],
                input=f"alter role {SUPERUSER} password '{self._password}'\n".encode(),
                cwd=self.directory,
                env=_ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=log,
                check=False,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )

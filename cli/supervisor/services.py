"""Both embedded servers of one data directory, as tests and small tools want them: in, use, out."""

import secrets
from pathlib import Path
from typing import Self

from cli.supervisor.instance_lock import InstanceLock
from cli.supervisor.ports import free_port
from cli.supervisor.postgres import PostgresServer
from cli.supervisor.server import Profile
from cli.supervisor.valkey import ValkeyServer


class EmbeddedServices:
    """`with EmbeddedServices(directory) as services:` runs a PostgreSQL and a Valkey of our own.

    Use it from the main thread (see processes.spawn). Every method returns when the server is ready, or gone.
    A data directory is used by one holder at a time. Ports are free ones and stay the same over restarts.
    """

    def __init__(self, data_dir: Path, profile: Profile = "test") -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data_dir = data_dir
        # The profile `test` has no need to hide: the password is the same at every start, so a directory can be reused.
        password = "test" if profile == "test" else secrets.token_hex(24)
        self._lock = InstanceLock(data_dir / "up.lock")
        self.postgres = PostgresServer(data_dir / "postgres", data_dir / "postgres.log", free_port(), password, profile)
        self.valkey = ValkeyServer(data_dir / "valkey", data_dir / "valkey.log", free_port(), password, profile)

    def __enter__(self) -> Self:
        """Start both. Raise SupervisorError, with nothing left running, if one does not start."""
        self._lock.__enter__()
        try:
            self.postgres.start(reset_password=self.postgres.profile == "dev" and self._has_cluster())
            self.valkey.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.valkey.stop()
        self.postgres.stop()
        self._lock.__exit__()

    async def __aenter__(self) -> Self:
        """As `with`; blocks the event loop for the second that it takes."""
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    @property
    def database_url(self) -> str:
        """DSN of the superuser in the database `postgres`."""
        return self.postgres.url()

    @property
    def redis_url(self) -> str:
        """URL of database 0."""
        return self.valkey.url()

    def stop_postgres(self) -> None:
        """Clean fast shutdown: clients see their connections end."""
        self.postgres.stop()

    def kill_postgres(self) -> None:
        """SIGKILL; `start_postgres` then recovers from the write-ahead log."""
        self.postgres.kill()

    def start_postgres(self) -> None:
        """Start after a stop or a kill, on the same port with the same data."""
        self.postgres.start()

    def restart_postgres(self) -> None:
        """Stop and start."""
        self.postgres.stop()
        self.postgres.start()

    def stop_valkey(self) -> None:
        """Clean shutdown."""
        self.valkey.stop()

    def kill_valkey(self) -> None:
        """SIGKILL."""
        self.valkey.kill()

    def start_valkey(self) -> None:
        """Start after a stop or a kill, on the same port; without an append-only file (profile `test`) it is empty."""
        self.valkey.start()

    def restart_valkey(self) -> None:
        """Stop and start."""
        self.valkey.stop()
        self.valkey.start()

    def _has_cluster(self) -> bool:
        return (self.postgres.directory / "PG_VERSION").exists()

"""One instance of the product on this machine: its directory, its ports, its secrets."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.supervisor.env_file import read_env_file, write_env_file
from cli.supervisor.failures import SupervisorError
from domain.settings import INSTANCE_FILE, DatabaseSettings, KeySettings, RedisSettings, SecretSettings, Settings

DEMO_UPSTREAM_PORT, POSTGRES_PORT, VALKEY_PORT = 9992, 9995, 9996
_SECRETS = ("POSTGRES_PASSWORD", "APPLICATION_PASSWORD", "VALKEY_PASSWORD", "USER_PASSWORD", "ADMIN_PASSWORD")
_DOTENV = Path(".env")


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of the instance, offset included."""

    gateway: int
    internal: int
    upstream: int
    postgres: int
    valkey: int
    portal: int
    admin: int
    jobs: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """From the settings; an internal port of 0 is off, and so are jobs."""
        offset, gateway = settings.dev.port_offset, settings.gateway
        return cls(
            gateway=gateway.port,
            internal=gateway.internal_port,
            upstream=DEMO_UPSTREAM_PORT + offset,
            postgres=POSTGRES_PORT + offset,
            valkey=VALKEY_PORT + offset,
            portal=settings.portal.port,
            admin=settings.admin.port,
            jobs=settings.jobs.port,
        )


class Instance:
    """The data directory and what `instance.env` in it remembers. Made with mode 700; the file has 600."""

    def __init__(self, settings: Settings) -> None:
        self.directory = settings.dev.data_dir
        if (self.directory / "instance.env").resolve() != INSTANCE_FILE.resolve():
            raise SupervisorError(
                "PE_DATA_DIR stands in `.env`, where the other commands do not see it.",
                "Set it in the environment of the process instead.",
            )
        self.logs = self.directory / "logs"
        self.ports = Ports.of(settings)
        self.given_database_url = _given(DatabaseSettings(_env_file=_DOTENV), "url")
        self.given_redis_url = _given(RedisSettings(_env_file=_DOTENV), "url")
        self._given_peppers = _given(KeySettings(_env_file=_DOTENV), "peppers")
        self._given_secrets = _given(SecretSettings(_env_file=_DOTENV), "keys")
        self._path = self.directory / "instance.env"
        self.pairs: dict[str, str] = {}
        self.new_secrets: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Make the directories. Raises SupervisorError if they cannot be made or written."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SupervisorError(
                f"{self.directory} cannot be used: {error.strerror}.", "Choose another place with PE_DATA_DIR."
            ) from error

    def load_secrets(self) -> None:
        """Read the secrets and invent those that are missing. Call it while holding the lock."""
        self.pairs = read_env_file(self._path)
        self.new_secrets = frozenset(name for name in _SECRETS if not self.pairs.get(name))
        for name in self.new_secrets:
            self.pairs[name] = secrets.token_hex(16)
        if not self._given_peppers and not self.pairs.get("KEY_PEPPERS"):
            self.pairs["KEY_PEPPERS"] = f"1:{secrets.token_hex(32)}"
            self.new_secrets |= {"KEY_PEPPERS"}
        if not self._given_secrets and not self.pairs.get("SECRET_KEYS"):
            self.pairs["SECRET_KEYS"] = f"1:{secrets.token_hex(32)}"
        # A developer's webhooks go to programs on the same machine.
        self.pairs.setdefault("WEBHOOK_ALLOW_PRIVATE", "true")
        # Who tries the demo signs in with the password of demo.env alone; anywhere else operators need a second factor.
        self.pairs.setdefault("ADMIN_FACTOR_REQUIRED", "false")
        self.save()

    def save(self, **pairs: str) -> None:
        """Remember more pairs. Raises SupervisorError if the disk is full."""
        self.pairs.update(pairs)
        try:
            write_env_file(self._path, self.pairs, "Written by `paid-endpoint up`; secrets of this instance.")
        except OSError as error:
            raise SupervisorError(
                f"{self._path} cannot be written: {error.strerror}.", "Make room or rights there, then start again."
            ) from error


def _given(concern: DatabaseSettings | RedisSettings | KeySettings | SecretSettings, field: str) -> str | None:
    """The field's value if a person set it, that is in the environment or in `.env`."""
    if field not in concern.model_fields_set:
        return None
    return str(getattr(concern, field).get_secret_value())

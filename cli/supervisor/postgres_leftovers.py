"""What a crash leaves in a PostgreSQL data directory. Called only while we hold the instance's lock.

So a living server on the directory is an orphan of an earlier supervisor, and is ended; a pid file whose number
belongs to some other process by now is removed, because PostgreSQL would refuse to start for it.
"""

import signal
from pathlib import Path

from cli.supervisor.processes import command_line, end_stranger, start_ticks, working_directory


def pid_file_fields(directory: Path) -> list[str]:
    """The lines of postmaster.pid: pid, data directory, start time, port, socket, address, shared memory, state."""
    try:
        return (directory / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def clear_leftovers(directory: Path) -> bool:
    """End an orphan server, remove a pid file that names a stranger. False if an orphan does not end.

    Proof that a process is ours: PostgreSQL works in its data directory, so its working directory is this one.
    """
    fields = pid_file_fields(directory)
    if not fields or not fields[0].strip().isdigit():
        return True
    pid = int(fields[0])
    if start_ticks(pid) is None:
        return True  # dead: PostgreSQL itself sees that, and checks for children that still hold shared memory
    if is_server_of(pid, directory):
        return end_stranger(pid, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), 5.0)
    (directory / "postmaster.pid").unlink()
    return True


def is_server_of(pid: int, directory: Path) -> bool:
    """Whether the process is a PostgreSQL that works in this very directory."""
    return "postgres" in command_line(pid) and working_directory(pid) == directory

"""Where a run of the tests keeps its files: in memory, where this machine has plenty.

A database of ours is over a thousand files, and a run makes hundreds of databases; on a disk most of its time goes there.
Nothing of the tests asks for a disk: who is killed here is a process, never the machine.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4_000_000_000
_STEM = "paid-endpoint-tests-"


def take_place() -> Path | None:
    """A new folder for all temporary files of this process and those that it starts; what dead runs left is removed.

    None, and nothing changed, where TMPDIR says another place or there is not enough memory for files.
    """
    if "TMPDIR" in os.environ or not _usable():
        return None
    place = MEMORY / f"{_STEM}{os.getpid()}"
    for other in MEMORY.glob(f"{_STEM}*"):
        if other == place or not Path("/proc", other.name.removeprefix(_STEM)).exists():
            shutil.rmtree(other, ignore_errors=True)
    place.mkdir()
    place.chmod(0o1777)  # as /tmp: root's tests start programs of other accounts
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)
    return place


def keep_bytecode(folder: Path) -> None:
    """Where writing bytecode is off, as in many containers, write it into `folder`: not beside the sources, but not never.

    A run starts hundreds of programs of ours, and without it half of what they do is compiling. They do as this process does.
    Who tests with files that are cut short must keep its program from writing bytecode.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def _usable() -> bool:
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return False
    flags = os.statvfs(MEMORY).f_flag
    return not flags & os.ST_NOEXEC and shutil.disk_usage(MEMORY).free >= ROOM_BYTES

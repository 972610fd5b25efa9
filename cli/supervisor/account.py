"""The account that the databases run as: PostgreSQL refuses to run as root, so root lends it to `nobody`."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cli.supervisor.failures import SupervisorError


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user that root lends a server to."""

    uid: int
    gid: int
    name: str


def account_for(directory: Path) -> Account | None:
    """Whom to run a server as that keeps its data in `directory`: None is ourselves.

    As root: the owner of existing data, else `nobody`. As anybody else: ourselves, and data of somebody else is refused.
    """
    owner = directory.stat().st_uid if directory.exists() else 0
    if os.geteuid() != 0:
        if directory.exists() and owner != os.geteuid():
            raise SupervisorError(
                f"{directory} belongs to user {_name(owner)}, not to you.",
                "Run as that user (or as root, if root made it), or choose another place with PE_DATA_DIR.",
            )
        return None
    entry = _entry(owner) if owner else _nobody()
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name) if entry else Account(owner or 65534, 65534, "nobody")


def make_private_directory(directory: Path, account: Account | None) -> None:
    """Make `directory` (its parent exists) with mode 700 for the account; its parents are left as they are."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(directory, account.uid, account.gid)


def runnable_root(root: Path, parts: Sequence[str], program: str, account: Account | None) -> Path:
    """Where the account can run `root/program` from: `root` itself, or a copy of its `parts` in /var/tmp.

    A virtualenv below /root can be read by root only. Modes of directories that are not ours are never changed.
    """
    if account is None or _can_run(root / program, account):
        return root
    mark = sha256(f"{root}:{(root / program).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"paid-endpoint-{mark}"  # noqa: S108  owner and mode are checked below
    if not copy.exists():
        _copy(root, parts, copy)
    status = copy.lstat()
    if status.st_uid != 0 or status.st_mode & 0o022 or not _can_run(copy / program, account):
        raise SupervisorError(
            f"{root / program} cannot be run by {account.name}, and neither can its copy in {copy}.",
            f"Remove {copy}, or run as an ordinary user, or set DATABASE_URL and REDIS_URL.",
        )
    return copy


def _copy(root: Path, parts: Sequence[str], copy: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        for part in parts:
            (partial / part).parent.mkdir(parents=True, exist_ok=True)
            if (root / part).is_dir():
                shutil.copytree(root / part, partial / part, symlinks=True)
            else:
                shutil.copy2(root / part, partial / part)
        for directory in (partial, *(path for path in partial.rglob("*") if path.is_dir() and not path.is_symlink())):
            directory.chmod(0o755)
        partial.rename(copy)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not copy.exists():  # else another start was quicker
            raise SupervisorError(
                f"{copy} cannot be made: {error.strerror}.", "Make room in /var/tmp, or run as an ordinary user."
            ) from error


def _can_run(program: Path, account: Account) -> bool:
    try:
        finished = subprocess.run(
            [program, "--version"],
            capture_output=True,
            check=False,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env={"LC_ALL": "C"},
        )
    except OSError:
        return False
    return finished.returncode == 0


def _nobody() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return None


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _name(uid: int) -> str:
    entry = _entry(uid)
    return entry.pw_name if entry else str(uid)

"""Git over smart HTTP, through the gateway with a key in `http.extraHeader`, as a customer of a paid Git service."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.real_clients.front import Front, Target
from tests.real_clients.git_server import git_server

FILES, FILE_BYTES = 13, 4 << 20
SPEED = ("-c", "core.compression=0", "-c", "core.bigFileThreshold=1m", "-c", "gc.auto=0")
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.version=2")
QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "HOME": "/nonexistent",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; what it prints. Fails with what it complains about."""
    done = subprocess.run(
        ["git", *IDENTITY, *SPEED, *arguments],
        cwd=folder,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=90, check=False,
    )
    assert done.returncode == 0, f"git {arguments[-3:]}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def commit_random_files(folder: Path, name: str) -> None:
    """More than 50 MB that no compression makes smaller."""
    for number in range(FILES):
        (folder / f"{name}-{number}").write_bytes(os.urandom(FILE_BYTES))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", name)


def objects(folder: Path) -> list[str]:
    """Every object that the branch reaches, by id."""
    return sorted(git(folder, "rev-list", "--objects", "--all").splitlines())


def clone_and_push(root: Path, work: Path, target: Target, post_buffer: int) -> None:
    """Clone the repository, add as much again, push it back, compare ids on both sides."""
    bare, copy = root / "big.git", work / "copy"
    over_http = ("-c", f"http.extraHeader=X-API-Key: {target.key}", "-c", f"http.postBuffer={post_buffer}")
    git(work, *over_http, "clone", "-q", f"{target.url}/big.git", "copy")
    assert objects(copy) == objects(bare)
    git(copy, "fsck", "--full")
    commit_random_files(copy, "more")
    git(copy, *over_http, "push", "-q", "origin", "HEAD:main")
    assert objects(bare) == objects(copy)
    git(bare, "fsck", "--full")
    assert sum(path.stat().st_size for path in bare.rglob("*.pack")) > 2 * 50e6


def prepare(root: Path, seed: Path) -> None:
    """A bare repository of more than 50 MB that takes pushes."""
    git(seed, "init", "-qb", "main")
    commit_random_files(seed, "first")
    git(root, "clone", "-q", "--bare", str(seed), "big.git")
    git(root / "big.git", "config", "http.receivepack", "true")
    git(root / "big.git", "config", "receive.unpackLimit", "1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("post_buffer", "patient"),
    [
        pytest.param(1 << 20, True, id="chunked"),
        pytest.param(1 << 20, False, id="chunked, answered while it is sent"),
        pytest.param(200_000_000, True, id="with length"),
    ],
)
async def test_clone_and_push_of_fifty_megabytes_keep_every_object(
    front: Front, tmp_path: Path, post_buffer: int, patient: bool
) -> None:
    root, seed, work = (tmp_path / name for name in ("root", "seed", "work"))
    for folder in (root, seed, work):
        folder.mkdir()
    await asyncio.to_thread(prepare, root, seed)
    with git_server(root, patient=patient) as port:
        target = await front.behind(port)
        await asyncio.to_thread(clone_and_push, root, work, target, post_buffer)

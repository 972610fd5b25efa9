"""What an installation holds on to, to be compared before and after a run (R12): nothing may pile up."""

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from tests.drills.audit import WORKERS
from tests.drills.ground import Ground

POOL = 8
"""Connections to PostgreSQL that a worker's pool may keep for a while."""


@dataclass(frozen=True, slots=True)
class Levels:
    """`descriptors`, `threads`: of the worker that has most. `redis_keys` counts what a window's end does not remove."""

    descriptors: int
    threads: int
    resident_mb: int
    postgres_connections: int
    redis_connections: int
    redis_keys: int
    journals: int
    journal_files: int

    @classmethod
    def of(cls, ground: Ground) -> "Levels":
        """As they are now."""
        pids = ground.workers()
        connections = ground.ask("select count(*) from pg_stat_activity where datname = current_database()")[0][0]
        with contextlib.closing(redis.Redis.from_url(ground.redis_url)) as client:
            keys = sum(1 for _ in client.scan_iter(match="pe:*", count=1_000))
            clients = len(client.client_list())
        journal = ground.state_folder / "journal"
        files = [path for path in journal.rglob("*") if path.is_file()] if journal.exists() else []
        folders = [path for path in journal.iterdir() if path.is_dir()] if journal.exists() else []
        return cls(
            descriptors=max((len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids), default=0),
            threads=max((len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids), default=0),
            resident_mb=max((_resident(pid) for pid in pids), default=0) // 1_000_000,
            postgres_connections=connections,
            redis_connections=clients,
            redis_keys=keys,
            journals=len(folders),
            journal_files=len(files),
        )

    def exceeded_by(self, after: "Levels") -> list[str]:
        """In words, what is more than before by more than a pool or a window that opened explains."""
        room = {
            "descriptors": POOL + 4, "threads": 4, "resident_mb": 60, "postgres_connections": WORKERS * POOL,
            "redis_connections": WORKERS * 4, "redis_keys": 12, "journals": 0, "journal_files": 2 * WORKERS,
        }  # fmt: skip
        now, then = asdict(after), asdict(self)
        return [
            f"R12: {name} were {then[name]} before and are {now[name]} after the run"
            for name, more in room.items()
            if now[name] > then[name] + more
        ]


def outstanding(ground: Ground) -> dict[str, int]:
    """R3: permits that Redis counts as held by somebody, by window (field `o` of a window's record)."""
    with contextlib.closing(redis.Redis.from_url(ground.redis_url, decode_responses=True)) as client:
        keys = [key for key in client.scan_iter(match="pe:*:w:*", count=1_000) if client.type(key) == "hash"]
        held = {key: int(client.hget(key, "o") or 0) for key in keys}
    return {key: amount for key, amount in held.items() if amount}


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096

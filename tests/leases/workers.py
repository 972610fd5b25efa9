"""The test's side of its workers: start, ask, kill, restart."""

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.leases.worker import Answer, Start

ANSWER_SECONDS = 20.0
"""Far beyond what any decision may take: nobody may be left waiting (R10)."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Nursery:
    """Where workers are born."""

    address: Path


@contextlib.contextmanager
def nursery(folder: Path, shared_clock: Path) -> Iterator[Nursery]:
    """A running nursery; the workers that are left die with the sockets of their tests."""
    address = folder / "nursery"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.leases.nursery", str(address), str(shared_clock)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the nursery did not start"
        yield Nursery(address)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class RemoteWorker:
    """One worker process. Commands are its methods: `await worker.ask(0, 5, hold=False)`."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.pid = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def born(self, nursery: Nursery) -> "RemoteWorker":
        """Fork it, and let it start its limiter."""
        self._reader, self._writer = await asyncio.open_unix_connection(nursery.address)
        self._listening = asyncio.get_running_loop().create_task(self._listen())
        self.pid = await self.call("start", self.start)
        return self

    async def ask(self, bucket: int, count: int = 1, *, hold: bool = False) -> list[Answer]:
        """`count` requests at once."""
        answers: list[Answer] = await self.call("ask", bucket, count, hold=hold)
        return answers

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Any command. Raises AssertionError with the worker's traceback, EOFError when it dies, TimeoutError."""
        self._number += 1
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        frame = pickle.dumps((self._number, name, arguments, options))
        self._writer.write(len(frame).to_bytes(4, "big") + frame)
        async with asyncio.timeout(ANSWER_SECONDS):
            result, fault = await answer
        assert not fault, fault
        return result

    async def kill(self) -> None:
        """SIGKILL; returns when the process is gone, and with it its locks."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self._listening
        await self._close()

    async def stop(self) -> None:
        """Stop its limiter in order, then end it."""
        await self.call("stop")
        await self.kill()

    async def _close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                number, result, fault = pickle.loads(await self._reader.readexactly(size))
                self._waiting.pop(number).set_result((result, fault))
        except (asyncio.IncompleteReadError, OSError):
            for answer in self._waiting.values():
                answer.set_exception(EOFError("the worker died"))
            self._waiting.clear()

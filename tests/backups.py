"""`paid-endpoint backup` and `restore` as an operator runs them: processes of their own, told by the environment; and callers."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg

from tests.gateways import PEPPERS, ROOT, RunningGateway, Tenant

CALLERS = 4


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` printed. Says what went wrong if nothing was."""
        assert self.status == 0, self.err
        return json.loads(self.out)


async def command(database_url: str, *arguments: object, **environment: str) -> Ran:
    """Run the command on a database to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", *map(str, arguments)),
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "KEY_PEPPERS": PEPPERS,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def ordinary_database(server_url: str, name: str) -> AsyncIterator[str]:
    """DSN of an empty database whose owner is no superuser, as production has it."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"create role {name} login password '{name}'")
        await connection.execute(f"create database {name} owner {name}")
        place = server_url.rpartition("@")[2].rpartition("/")[0]
        yield f"postgresql://{name}:{name}@{place}/{name}"
    finally:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"drop role {name}")
        await connection.close()


def flip_a_byte(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


class Load:
    """Callers that go on until they are told to stop; `answered` are the ids of whole 200s."""

    def __init__(self, gateway: RunningGateway, tenant: Tenant) -> None:
        self._gateway, self._raw = gateway, gateway.request("/paid/x", tenant.key)
        self.answered: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _call(self) -> None:
        with contextlib.suppress(OSError, LookupError):
            while True:
                answer = await self._gateway.ask(self._raw)
                assert answer.status == 200, answer
                self.answered.add(answer.values("x-request-id")[0])

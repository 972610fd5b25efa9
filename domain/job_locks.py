"""One run of a job at a time in the whole installation: a PostgreSQL advisory lock for each job's name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from domain.databases import AWAY

JOB_LOCKS = 723_611_805
"""First half of the locks' keys; the second is a hash of the job's name."""

_TAKE = "select pg_try_advisory_lock($1, hashtext($2))"
_GIVE = "select pg_advisory_unlock($1, hashtext($2))"
HELD = f"""
exists (select from pg_locks where locktype = 'advisory' and objsubid = 2 and granted
    and database = (select oid from pg_database where datname = current_database())
    and classid = {JOB_LOCKS}::oid and objid = (hashtext({{name}})::bigint & 4294967295)::oid)
"""
"""SQL: whether somebody runs the job whose name is in a column or a parameter."""


@asynccontextmanager
async def job_lock(connection: Any, name: str) -> AsyncIterator[bool]:
    """Whether the lock was free; then it is held until the block ends, or until the connection does."""
    taken = bool(await connection.fetchval(_TAKE, JOB_LOCKS, name))
    try:
        yield taken
    finally:
        if taken:
            # A connection that is lost has given the lock back.
            with suppress(*AWAY):
                await connection.fetchval(_GIVE, JOB_LOCKS, name)


async def is_held(connection: Any, name: str) -> bool:
    """Whether somebody runs the job at this moment."""
    return bool(await connection.fetchval(f"select {HELD.format(name='$1::text')}", name))

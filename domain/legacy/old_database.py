"""Reading an older installation: one read-only transaction, in which all reads see the same moment.

No fault that leaves here quotes the DSN: it holds a password.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import asyncpg

from domain.faults import Fault, InvalidValue
from domain.legacy.old_rows import (
    CLIENT_COLUMNS,
    KEY_COLUMNS,
    PLAN_COLUMNS,
    Group,
    OldClient,
    OldKey,
    OldPlan,
    fingerprint,
)
from domain.legacy.old_tables import check_tables

CONNECT_SECONDS = 10.0
ROWS_AT_ONCE = 500
"""That a cursor fetches together."""
LONGEST_TEXT = 10_000
"""Characters of a value that are read. What is longer is no value that could be used, and 500 rows of such are no memory."""
LOCK_SECONDS = 60
"""So long a table that somebody holds over there is waited for."""

_SESSION = (
    "set local timezone to 'UTC'; set local datestyle to 'ISO, YMD'; set local statement_timeout to 0;"
    " set local idle_in_transaction_session_timeout to 0; set local lock_timeout to '{lock}s'"
)
# Of rows with one hash and one client the best one counts; with several clients nobody can tell whose it is.
_SAME_HASH = """
    select lower(key_hash::text) as hash, case when count(distinct client_id) = 1 and count(client_id) = count(*) then
           (array_agg(key_id::text order by lower(status::text) = 'active' desc nulls last,
                      expires_at desc nulls first, key_id::text collate "C"))[1] end as kept
    from api_keys where key_hash::text ~* '^[0-9a-f]{64}$' group by 1 having count(*) > 1
"""
_SAME_EMAIL = "select lower(btrim(email::text)) from clients where email is not null group by 1 having count(*) > 1"


class LegacyUnreachable(Fault):
    """The older database does not answer, refuses us, or was lost."""

    code = "legacy_unreachable"


class OldDatabase:
    """One snapshot of the older database, from `opened`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def repeated(self, table: str, column: str) -> frozenset[str]:
        """Ids that stand in more than one row of a table: the primary key is missing there."""
        rows = await self._fetch(f"select {column}::text from {table} group by 1 having count(*) > 1")
        return frozenset(row[0] for row in rows if row[0] is not None)

    async def same_hashes(self) -> dict[str, str | None]:
        """Hashes that several keys have, in lower case, and the id of the key that counts; None: nobody can tell."""
        return {row["hash"]: row["kept"] for row in await self._fetch(_SAME_HASH)}

    async def same_emails(self) -> frozenset[str]:
        """Addresses that several clients have, in lower case."""
        return frozenset(row[0] for row in await self._fetch(_SAME_EMAIL))

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        return int((await self._fetch(f"select count(*) from {table}"))[0][0])

    async def plans(self) -> list[OldPlan]:
        """Every plan, by id."""
        rows = self._rows("plans", PLAN_COLUMNS, "plan_id")
        return [OldPlan(fingerprint(values), *values) async for values in rows]

    async def groups(self) -> AsyncGenerator[Group, None]:
        """Every client with its keys, by client; keys of missing clients in groups without one. In one pass, by cursors."""
        clients = self._rows("clients", CLIENT_COLUMNS, "client_id")
        keys = self._rows("api_keys", KEY_COLUMNS, "client_id, key_id")
        values = await anext(keys, None)
        async for each in clients:
            client = OldClient(fingerprint(each), *each)
            while values is not None and _place(values[1]) < _place(client.id):
                yield Group(None, [_key(values)])
                values = await anext(keys, None)
            group = Group(client)
            while values is not None and values[1] == client.id and client.id is not None:
                group.keys.append(_key(values))
                values = await anext(keys, None)
            yield group
        while values is not None:
            yield Group(None, [_key(values)])
            values = await anext(keys, None)

    async def _rows(self, table: str, columns: tuple[str, ...], order: str) -> AsyncIterator[tuple[str | None, ...]]:
        listed = ", ".join(f"left({name}::text, {LONGEST_TEXT})" for name in columns)
        # As Python compares texts, whatever the database's own order is.
        ordered = ", ".join(f'{name}::text collate "C" nulls last' for name in order.split(", "))
        query = f"select {listed} from {table} order by {ordered}"
        with _told():
            async for row in self._connection.cursor(query, prefetch=ROWS_AT_ONCE):
                yield tuple(row)

    async def _fetch(self, query: str) -> Any:
        with _told():
            return await self._connection.fetch(query)


def _place(value: str | None) -> tuple[bool, str]:
    return value is None, value or ""


def _key(values: tuple[str | None, ...]) -> OldKey:
    return OldKey(fingerprint(values), *values)


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[OldDatabase]:
    """The older database, with the tables that it must have. Raises InvalidValue, LegacyUnreachable, LegacyMismatch."""
    connection = await _connected(dsn)
    try:
        with _told():
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            await connection.execute(_SESSION.format(lock=LOCK_SECONDS))
            await check_tables(connection)
        yield OldDatabase(connection)
    finally:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CONNECT_SECONDS)


async def _connected(dsn: str) -> Any:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except asyncpg.InvalidCatalogNameError:
        raise LegacyUnreachable("The older server has no such database.") from None
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError):
        raise LegacyUnreachable("The older database refuses this user or password.") from None
    except asyncpg.PostgresError as error:
        raise LegacyUnreachable(f"The older database refuses us: {type(error).__name__}.") from None
    except TimeoutError:
        raise LegacyUnreachable(f"The older database did not answer in {CONNECT_SECONDS:.0f} s.") from None
    except OSError as error:
        raise LegacyUnreachable(f"The older database cannot be reached: {error.strerror or 'no such host'}.") from None
    except (ValueError, asyncpg.InterfaceError):
        raise InvalidValue(
            "The DSN of the older database cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with"
            " special characters of the password as %40 and the like."
        ) from None


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What goes wrong there is told as a fault of the older database and not of ours."""
    try:
        yield
    except UnicodeDecodeError:
        raise LegacyUnreachable(
            "The older database holds a text that is not UTF-8; its encoding is to be set."
        ) from None
    except asyncpg.PostgresError as error:
        raise LegacyUnreachable(f"The older database refused: {error}") from None
    except (OSError, asyncpg.InterfaceError) as error:
        raise LegacyUnreachable(f"The older database was lost ({type(error).__name__}); run it again.") from None

"""An older installation for tests: its tables as docs/import-legacy.md has them, its rows, and its way to know a key."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from tests.databases import empty_database

PAGE = Path(__file__).resolve().parents[1] / "docs" / "import-legacy.md"


def ddl() -> str:
    """The statements of the page."""
    found = re.search(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def lax(statements: str) -> str:
    """The same without types and constraints, as an installation may be that was changed by hand."""
    without = re.sub(r",\n    primary key \([^)]*\)", "", statements)
    without = re.sub(r" (primary key|unique|references \w+|not null)(?=[ ,\n])", "", without)
    return re.sub(r" (varchar\(\d+\)|integer|uuid|timestamp(?! with))(?=[ ,\n])", " text", without)


@dataclass
class Old:
    """The older database: `url` its DSN, `connection` an own connection to it; not `strict`: every column is a text."""

    url: str
    connection: Any
    strict: bool = True
    keys: dict[str, str] = field(default_factory=dict)
    """Plaintexts by key id, as only their owners know them."""

    async def insert(self, table: str, **values: Any) -> None:
        """A row; what is not given has its default."""
        given = list(values.values()) if self.strict else [None if v is None else str(v) for v in values.values()]
        places = ", ".join(f"${n + 1}" for n in range(len(given)))
        await self.connection.execute(f"insert into {table} ({', '.join(values)}) values ({places})", *given)

    async def plan(
        self, plan_id: str | None, name: str | None = "Plan", hourly: Any = 1000, daily: Any = 10_000
    ) -> None:
        """A plan."""
        await self.insert("plans", plan_id=plan_id, name=name, hourly_limit=hourly, daily_limit=daily)

    async def client(self, email: str | None = "", **values: Any) -> str:
        """A client, with an address of its own if none is given; its id."""
        made = values.pop("client_id", str(uuid4()))
        address = f"{secrets.token_hex(6)}@example.com" if email == "" else email
        await self.insert("clients", client_id=made, email=address, **{"name": "Customer", **values})
        return made

    async def key(self, client_id: str | None, plan_id: str | None = "basic", **values: Any) -> str:
        """A key; `values` are columns by name, `text` its plaintext; its id."""
        made, text = values.pop("key_id", str(uuid4())), values.pop("text", None) or f"sk_{secrets.token_hex(16)}"
        row = {
            "key_id": made, "client_id": client_id, "plan_id": plan_id, "key_hash": sha256(text.encode()).hexdigest(),
            "key_prefix": text[:8], **values,
        }  # fmt: skip
        await self.insert("api_keys", **row)
        self.keys[made] = text
        return made

    async def digest(self) -> dict[str, str]:
        """What all its rows are, by table."""
        return await digest_of_tables(self.connection)


async def digest_of_tables(connection: Any) -> dict[str, str]:
    """A digest of every row of a database, by table."""
    query = "select c.relname from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    tables = [row[0] for row in await connection.fetch(f"{query} and not relispartition order by 1")]
    rows = "select md5(coalesce(string_agg(r::text, '|' order by r::text), '')) from \"{}\" r"
    return {table: await connection.fetchval(rows.format(table)) for table in tables}


@contextlib.asynccontextmanager
async def older_installation(url: str, *, strict: bool = True) -> AsyncIterator[Old]:
    """A new one beside the database of `url`."""
    async with empty_database(url) as own:
        connection = await asyncpg.connect(own)
        try:
            await connection.execute(ddl() if strict else lax(ddl()))
            yield Old(own, connection, strict)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def older_gateway(old: Old) -> AsyncIterator[int]:
    """The older installation's own gateway, reduced to how it knows a key; its port on 127.0.0.1."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        presented = re.search(r"^x-api-key: (.*)\r$", head, re.IGNORECASE | re.MULTILINE)
        known = await old.connection.fetchval(
            "select true from api_keys where key_hash = $1 and status = 'active'"
            " and (expires_at is null or expires_at::text::timestamptz > now())",
            sha256((presented[1] if presented else "").encode()).hexdigest(),
        )
        status = "200 OK" if known else "401 Unauthorized"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]

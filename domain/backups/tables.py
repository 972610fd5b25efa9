"""What a database of ours is made of, asked of PostgreSQL itself: tables with their columns, sequences, foreign keys.

Of `request_log` each day's partition is a table of its own here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

MADE_BY_MIGRATIONS = frozenset({"migration"})
"""Tables that have rows in a database that is only migrated. They are neither saved nor loaded."""

_PARTITION = re.compile(r"request_log_(\d{8})")
_TABLES = """
select c.relname as name, array_agg(a.attname order by a.attnum) as columns
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
 where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relpersistence = 'p'
   and c.relname <> all($1)
 group by c.relname order by c.relname
"""
_SEQUENCES = """
select c.relname from pg_class c
 where c.relnamespace = current_schema()::regnamespace and c.relkind = 'S' and not exists (
       select from pg_depend d join pg_class t on t.oid = d.refobjid
        where d.objid = c.oid and d.deptype in ('a', 'i') and t.relname = any($1))
 order by 1
"""
_FOREIGN_KEYS = """
select conrelid::regclass::text as on_table, conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
 where contype = 'f' and conparentid = 0 and connamespace = current_schema()::regnamespace order by conrelid, conname
"""
_RELATIONS = (
    "select count(*) from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')"
)


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table and those of its columns that are stored, in their order; names are as PostgreSQL has them, unquoted."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A constraint, as it can be made again."""

    on_table: str
    name: str
    definition: str


def quoted(name: str) -> str:
    """A name as SQL wants it, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def day_of(table: str) -> date | None:
    """The UTC day whose request logs a table holds; None for every other table."""
    found = _PARTITION.fullmatch(table)
    return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).date() if found else None


async def tables(connection: Any) -> list[StoredTable]:
    """Every table with rows of its own, by name."""
    rows = await connection.fetch(_TABLES, list(MADE_BY_MIGRATIONS))
    return [StoredTable(row["name"], tuple(row["columns"])) for row in rows]


async def sequences(connection: Any) -> dict[str, tuple[int, bool]]:
    """Where each sequence stands, and whether that number was given out. Sequences know no snapshot: ask after the rows."""
    names = [row["relname"] for row in await connection.fetch(_SEQUENCES, list(MADE_BY_MIGRATIONS))]
    stands = {name: await connection.fetchrow(f"select last_value, is_called from {quoted(name)}") for name in names}
    return {name: (row["last_value"], row["is_called"]) for name, row in stands.items()}


async def foreign_keys(connection: Any) -> list[ForeignKey]:
    """All of them; those of partitions come with their parents'."""
    return [ForeignKey(*row) for row in await connection.fetch(_FOREIGN_KEYS)]


async def has_relations(connection: Any) -> bool:
    """Whether the database has any table at all."""
    return bool(await connection.fetchval(_RELATIONS))

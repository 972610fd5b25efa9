"""Adds tallies to `usage_rollup` and `usage_summary`: one binary COPY into a table of the session, one statement that
merges it.

Rows are merged in the order in which they were copied, which is that of their keys: the same in every ingester.
"""

import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any

from domain.ingesting.copying import COPY_HEAD, COPY_TAIL
from domain.ingesting.tallies import Key, Tally

_SUMS = ("requests", "errors", "refused", "bytes_in", "bytes_out", "upstream_us_sum", "total_us_sum", "cost_micro")
_KEY = ("organization_id", "key_id", "service_id", "operation_id", "bucket", "grain", "status_class")
_COLUMNS = (*_KEY, *_SUMS, "latency")
_NAMES = ", ".join(_COLUMNS)

STAGE = f"""
create temporary table if not exists usage_rollup_stage on commit delete rows
    as select {_NAMES} from usage_rollup with no data;
create temporary table if not exists usage_summary_stage on commit delete rows
    as select {_NAMES} from usage_summary with no data;
"""
_MERGE = f"""
insert into {{table}} as r ({_NAMES}) select {_NAMES} from {{table}}_stage
on conflict ({", ".join(_KEY)}) do update set
  {", ".join(f"{name} = r.{name} + excluded.{name}" for name in _SUMS)},
  latency = array(select coalesce(x, 0) + coalesce(y, 0) from unnest(r.latency, excluded.latency) as u (x, y))
"""

_ROWS_PER_PIECE = 1_000
_US_PER_MINUTE = 60_000_000
_TO_POSTGRES_EPOCH_US = 946_684_800_000_000
_ROW = struct.Struct(">h" + "i16s" * 4 + "iq")
_AFTER_GRAIN = struct.Struct(">ih" + "iq" * 8)
_ARRAY = struct.Struct(">iiiiii")
_BIGINT_OID = 20
_GRAINS = {name: struct.pack(">i", len(name)) + name.encode() for name in ("minute", "hour", "day", "week")}


async def add_to_rollups(connection: Any, rows: Sequence[tuple[Key, Tally]]) -> None:
    """Add sums to the stored ones, inside the caller's transaction. `connection` is asyncpg's and has run STAGE."""
    await _merge(connection, "usage_rollup", rows)


async def add_to_summaries(connection: Any, rows: Sequence[tuple[Key, Tally]]) -> None:
    """The same to the sums of organizations, services, operations and keys (`domain.ingesting.summaries`)."""
    await _merge(connection, "usage_summary", rows)


async def _merge(connection: Any, table: str, rows: Sequence[tuple[Key, Tally]]) -> None:
    await connection.copy_to_table(f"{table}_stage", source=_copied(rows), columns=_COLUMNS, format="binary")
    await connection.execute(_MERGE.format(table=table))


async def _copied(rows: Sequence[tuple[Key, Tally]]) -> AsyncIterator[bytes]:
    yield COPY_HEAD
    for first in range(0, len(rows), _ROWS_PER_PIECE):
        # Each piece is awaited, so that storing the log goes on beside this.
        yield b"".join([_row(key, tally) for key, tally in rows[first : first + _ROWS_PER_PIECE]])
    yield COPY_TAIL


def _row(key: Key, tally: Tally) -> bytes:
    dimensions, grain, minute, status_class = key
    length = max(tally.latency, default=-1) + 1
    counts = [0] * length
    for bucket, count in tally.latency.items():
        counts[bucket] = count
    elements = b"".join([_element(count) for count in counts])
    return b"".join(
        (
            _ROW.pack(
                len(_COLUMNS),
                *(16, dimensions[:16], 16, dimensions[16:32], 16, dimensions[32:48], 16, dimensions[48:]),
                *(8, minute * _US_PER_MINUTE - _TO_POSTGRES_EPOCH_US),
            ),
            _GRAINS[grain],
            _AFTER_GRAIN.pack(
                *(2, status_class, 8, tally.requests, 8, tally.errors, 8, tally.refused, 8, tally.bytes_in),
                *(8, tally.bytes_out, 8, tally.upstream_us, 8, tally.total_us, 8, tally.cost_micro),
            ),
            _ARRAY.pack(20 + len(elements), 1, 0, _BIGINT_OID, length, 1),
            elements,
        )
    )


_element_of = struct.Struct(">iq").pack
_SMALL = tuple(_element_of(8, count) for count in range(1_024))


def _element(count: int) -> bytes:
    return _SMALL[count] if count < len(_SMALL) else _element_of(8, count)

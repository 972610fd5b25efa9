"""Old rollups out of the log store, summed up there by no more than the reader looks at."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.log_store.clickhouse import ClickHouse
from domain.log_store.conditions import Conditions
from domain.log_store.old_rollups import IDS, SUMS, Asked, OldRollups, Range, as_json_row

_MARK = "select sent, before from rollup_mark"
_BY = (*IDS, "bucket", "status_class")
_TEXT = {
    **{name: f"toString({name})" for name in IDS},
    "status_class": "status_class",
}
_BUCKET = "formatDateTime({of}, '%Y-%m-%dT%H:%i:%SZ', 'UTC')"


async def has_moved(connection: Any, since: datetime) -> bool:
    """See LogStore."""
    mark = await connection.fetchrow(_MARK)
    return mark is not None and mark["before"] is not None and since < mark["before"]


async def read_old(connection: Any, store: ClickHouse, asked: Asked) -> OldRollups | None:
    """What moved of what is asked for; None where none of it can have moved.

    Raises TimeoutError, LogStoreAway, LogStoreRefused.
    """
    mark = await connection.fetchrow(_MARK)
    if mark is None or mark["before"] is None:
        return None
    ranges = [one for one in asked.ranges if one.first < mark["before"]]
    if not ranges or not asked.organization_ids:
        return None
    if not mark["sent"]:
        return OldRollups(0, "[]")
    statement, conditions, columns = _statement(asked, ranges, mark["sent"])
    rows = await store.rows(statement, conditions.values)
    return OldRollups(mark["sent"], json.dumps([as_json_row(columns, row) for row in rows]))


def _statement(asked: Asked, ranges: Sequence[Range], sent: int) -> tuple[str, Conditions, list[str]]:
    kept = [name for name in _BY if name in asked.by]
    groups = ["grain", *kept]
    texts = ["grain", *(_BUCKET.format(of="bucket") if name == "bucket" else _TEXT[name] for name in kept)]
    columns = list(groups)
    if "bucket" not in asked.by:
        texts.append(_BUCKET.format(of="min(bucket)"))
        columns.append("bucket")
    sums = [f"sum({name})" for name in SUMS]
    latency = "sumForEach(latency)" if asked.latency else "emptyArrayInt64()"
    conditions = _conditions(asked, ranges, sent)
    statement = (
        f"select {', '.join((*texts, *sums, latency))} from usage_rollup"
        f" where {conditions} group by {', '.join(groups)}"
    )
    return statement, conditions, columns


def _conditions(asked: Asked, ranges: Sequence[Range], sent: int) -> Conditions:
    conditions = Conditions()
    conditions.add("organization_id in {organizations:Array(UUID)}", organizations=asked.organization_ids)
    conditions.add("shipment <= {sent:Int64}", sent=sent)
    if asked.key_ids is not None:
        conditions.add("key_id in {keys:Array(UUID)}", keys=asked.key_ids)
    if asked.service_id is not None:
        conditions.add("service_id = {service:UUID}", service=asked.service_id)
    if asked.operation_id is not None:
        conditions.add("operation_id = {operation:UUID}", operation=asked.operation_id)
    parts: list[str] = []
    values: dict[str, str | int] = {}
    for number, one in enumerate(joined(ranges)):
        parts.append(
            f"grain = {{grain_{number}:String}} and toUnixTimestamp(bucket) >= {{first_{number}:Int64}}"
            f" and toUnixTimestamp(bucket) < {{next_{number}:Int64}}"
        )
        values[f"grain_{number}"] = one.grain
        values[f"first_{number}"] = int(one.first.timestamp())
        values[f"next_{number}"] = int(one.next.timestamp())
    conditions.add(f"({' or '.join(f'({part})' for part in parts)})", **values)
    return conditions


def joined(ranges: Sequence[Range]) -> list[Range]:
    """The same in as few ranges as possible. They overlap nowhere."""
    found: list[Range] = []
    for one in sorted(ranges):
        if found and found[-1].grain == one.grain and found[-1].next == one.first:
            found[-1] = found[-1]._replace(next=one.next)
        else:
            found.append(one)
    return found

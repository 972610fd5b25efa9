"""Refused requests by reason, and admitted ones for which a shadow limit had no room: `refusal_summary` in the making.

Hours and days of each organization, hours, days and weeks of all together (EVERY) and of what shadow limits would have refused. SHADOW stands as the reason of what was not refused.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.ingesting.grains import EPOCH, EVERY, week_of
from domain.journal.decision import shadow_limits
from domain.journal.records import DIMENSIONS, refusal_texts
from domain.snapshots import NO_ID

SHADOW = "shadow"
_MINUTES_OF_A_DAY = 1_440
_UNKNOWN = "unknown"

_ADD = """
insert into refusal_summary as r (organization_id, grain, bucket, service_id, operation_id, refusal, limit_name, limit_id, requests)
select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::uuid[],
                     $9::bigint[])
on conflict (organization_id, grain, bucket, service_id, operation_id, refusal, limit_name, limit_id)
do update set requests = r.requests + excluded.requests
"""


class RefusalRow(NamedTuple):
    """A primary key of `refusal_summary`, which also sorts rows."""

    organization_id: UUID
    grain: str
    bucket: datetime
    service_id: UUID
    operation_id: UUID
    refusal: str
    limit_name: str
    limit_id: UUID


class Refusals:
    """What was counted since the last fold."""

    def __init__(self) -> None:
        self._hours: dict[tuple[bytes, int, bytes, bytes, UUID], int] = {}

    def count_refused(self, record: bytes, minute: int) -> None:
        """Add the record of a refused request, of that minute since 1970."""
        self._add((record[DIMENSIONS], minute - minute % 60, *refusal_texts(record), NO_ID))

    def count_shadows(self, record: bytes, minute: int, decision: bytes) -> None:
        """Add each shadow limit that had no room for the request of a record with this decision."""
        for limit_id in shadow_limits(decision):
            self._add((record[DIMENSIONS], minute - minute % 60, SHADOW.encode(), b"", limit_id))

    def _add(self, key: tuple[bytes, int, bytes, bytes, UUID]) -> None:
        self._hours[key] = self._hours.get(key, 0) + 1

    def rows(self) -> list[tuple[RefusalRow, int]]:
        """Every row, sorted: ingesters that update in one order cannot deadlock."""
        sums: dict[RefusalRow, int] = {}
        for (dimensions, hour, refusal, limit_name, limit_id), requests in self._hours.items():
            organization, service, operation = (UUID(bytes=dimensions[at : at + 16]) for at in (0, 32, 48))
            texts = _text(refusal) or _UNKNOWN, _text(limit_name)
            day = hour - hour % _MINUTES_OF_A_DAY
            places = [(EVERY, "hour", hour), (EVERY, "day", day), (EVERY, "week", week_of(day))]
            if organization != NO_ID:
                places += [(organization, "hour", hour), (organization, "day", day)]
                if limit_id != NO_ID:
                    places.append((organization, "week", week_of(day)))
            for owner, grain, minute in places:
                row = RefusalRow(
                    owner, grain, EPOCH + timedelta(minutes=minute), service, operation, *texts, limit_id
                )  # fmt: skip
                sums[row] = sums.get(row, 0) + requests
        return sorted(sums.items())


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\x00", "\ufffd")


async def add_to_refusals(connection: Any, rows: Sequence[tuple[RefusalRow, int]]) -> None:
    """Add sums to the stored ones, inside the caller's transaction."""
    if rows:
        columns = zip(*((*key, requests) for key, requests in rows), strict=True)
        await connection.execute(_ADD, *map(list, columns))

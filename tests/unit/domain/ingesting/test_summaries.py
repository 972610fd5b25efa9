"""Summaries are the same sums with fewer dimensions."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.ingesting.summaries import EVERY, summaries, week_of
from domain.ingesting.tallies import Tallies
from tests.journals import dimensions, record

HOUR = datetime(2026, 11, 26, 10, tzinfo=UTC)


def counted(*records: bytes) -> dict[tuple, tuple]:
    tallies = Tallies()
    for one in records:
        tallies.count(one)
    return {(key[0][16:], key[1], key[3]): tally for key, tally in summaries(tallies.rows())}


def at(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def test_keys_are_summed_up_by_operation_service_and_organization():
    organization, service, operations, keys = uuid4(), uuid4(), [uuid4(), uuid4()], [uuid4() for _ in range(3)]
    rows = counted(
        *[
            record(dimensions=dimensions(organization, key, service, operation), at_us=at(HOUR), total_us=1_000)
            for key in keys
            for operation in operations
        ]
    )
    every = EVERY.bytes
    assert rows[every * 3, "hour", 2].requests == rows[every * 3, "day", 2].requests == 6
    assert rows[every + service.bytes + every, "hour", 2].requests == 6
    for operation in operations:
        found = rows[every + service.bytes + operation.bytes, "day", 2]
        assert (found.requests, sum(found.latency.values())) == (3, 3)
    for key in keys:
        week = rows[key.bytes + every * 2, "week", 0]
        assert (week.requests, week.latency) == (2, {})
    assert len(rows) == 2 * (2 + 1 + 1) + 3


def test_what_belongs_to_nobody_has_no_summary():
    assert counted(record(dimensions=bytes(64), at_us=at(HOUR), status=401, outcome="refused")) == {}


@pytest.mark.parametrize("days", range(14))
def test_weeks_begin_on_monday(days):
    moment = datetime(2026, 11, 23, 13, 5, tzinfo=UTC) + timedelta(days=days)
    monday = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(days=days // 7 * 7)
    assert week_of(int(moment.timestamp()) // 60) * 60 == monday.timestamp()

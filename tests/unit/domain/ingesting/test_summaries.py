"""Summaries are the same sums with fewer dimensions."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.ingesting.grains import EVERY, month_of, week_of
from domain.ingesting.summaries import summaries
from domain.ingesting.tallies import Tallies
from tests.journals import dimensions, record

HOUR = datetime(2026, 11, 26, 10, tzinfo=UTC)


def counted(*records: bytes) -> dict[tuple, tuple]:
    tallies = Tallies()
    for one in records:
        tallies.count(one)
    return {
        (key[0][16:], key[1], key[3]): tally for key, tally in summaries(tallies.rows()) if key[0][:16] != EVERY.bytes
    }


def counted_of_all(*records: bytes) -> dict[tuple, int]:
    tallies = Tallies()
    for one in records:
        tallies.count(one)
    found = summaries(tallies.rows())
    assert [key for key, _ in found] == sorted(key for key, _ in found)
    return {
        (key[0][32:48], key[0][48:], key[1], key[3]): tally.requests
        for key, tally in found
        if key[0][:16] == EVERY.bytes
    }


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


def test_all_organizations_and_nobody_are_summed_up_together():
    service, operation, every = uuid4(), uuid4(), EVERY.bytes
    calls = [
        record(dimensions=dimensions(who, uuid4(), service, operation), at_us=at(HOUR + timedelta(minutes=minute)))
        for minute, who in enumerate((uuid4(), uuid4(), None))
    ]
    rows = counted_of_all(*calls, record(dimensions=bytes(64), at_us=at(HOUR), status=401, outcome="refused"))
    for grain in ("hour", "day", "week"):
        assert rows[service.bytes, operation.bytes, grain, 2] == 3
        assert rows[service.bytes, every, grain, 2] == 3
        assert rows[every, every, grain, 2] == 3
        assert (
            rows[every, every, grain, 4]
            == rows[bytes(16), every, grain, 4]
            == rows[bytes(16), bytes(16), grain, 4]
            == 1
        )
    assert rows[every, every, "minute", 2] == 1  # the last of three minutes: the dict keeps one
    assert len(rows) == 3 * 6 + 2


def test_months_begin_on_the_first():
    moment = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    assert month_of(int(moment.timestamp()) // 60) * 60 == datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("days", range(14))
def test_weeks_begin_on_monday(days):
    moment = datetime(2026, 11, 23, 13, 5, tzinfo=UTC) + timedelta(days=days)
    monday = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(days=days // 7 * 7)
    assert week_of(int(moment.timestamp()) // 60) * 60 == monday.timestamp()

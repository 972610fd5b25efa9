"""Figures of a window are those of the request log, folded or not, in every time zone."""

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.access import Access
from domain.analytics.breakdown import read_breakdown
from domain.analytics.series import read_series
from domain.analytics.sources import Filter
from domain.analytics.windows import RANGES, window_of
from domain.log_store.store import POSTGRES
from tests.integration.domain.analytics.conftest import DAYS_OF_LOGS
from tests.usage import call, stored

ROWS = "select at, key_id, service_id, operation_id, status, outcome, bytes_out, cost_micro from request_log where organization_id = $1"
KINDS = [
    (200, "served"),
    (304, "served"),
    (404, "served"),
    (429, "refused"),
    (503, "refused"),
    (502, "failed"),
    (200, "cut"),
]
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Auckland"]


def random_calls(dice: random.Random, organization, now: datetime, subjects, count: int) -> list[bytes]:
    keys, operations = subjects
    calls = []
    for _ in range(count):
        age = (
            timedelta(days=dice.random() ** 3 * DAYS_OF_LOGS)
            if dice.random() < 0.7
            else timedelta(minutes=dice.random())
        )
        service, operation = dice.choice(operations)
        status, outcome = dice.choice(KINDS)
        calls.append(
            call(
                organization, now - age, dice.choice(keys), service, operation, status=status, outcome=outcome,
                bytes_out=dice.randrange(5_000), total_us=dice.randrange(10, 5_000_000),
                cost_micro=dice.choice((0, 100_000)) if status < 400 else 0,
            )
        )  # fmt: skip
    return calls


@pytest.mark.parametrize("seed", range(2))
async def test_series_sum_to_totals_which_are_the_rows_of_the_log(database, seed):
    dice, organization, now = random.Random(seed), uuid4(), datetime.now(UTC)
    access = Access(organization, "o", "O", "active", 1, "viewer")
    services = [uuid4(), uuid4()]
    keys, operations = [uuid4() for _ in range(4)], [(service, op) for service in services for op in (uuid4(), None)]
    await stored(database, random_calls(dice, organization, now, (keys, operations), 400))
    await stored(database, random_calls(dice, uuid4(), now, (keys, operations), 50))
    await stored(database, random_calls(dice, organization, now, (keys, operations), 60), folded=False)
    filters = [
        Filter(), Filter(key_id=keys[0]), Filter(service_id=services[0]), Filter(operation_id=operations[0][1]),
        Filter(keys[1], services[1]), Filter(keys[2], *operations[0]), Filter(None, *operations[2]),
    ]  # fmt: skip
    rows = await database.fetch(ROWS, organization)
    for zone in ZONES:
        for range_ in RANGES.values():
            window = window_of(range_, now, zone)
            wanted = dice.choice(filters)
            series = await read_series(database, access, window, wanted, POSTGRES)
            for first, following, figures in zip(window.edges, window.edges[1:], series.slots, strict=False):
                expected = counted(rows, first, following, wanted)
                assert expected == {name: getattr(figures, name) for name in expected}, (zone, range_.name, wanted)
                assert figures.requests == sum(figures.by_class) == sum(figures.latency)
                parts = (figures.succeeded, figures.client_errors, figures.refused, figures.failures)
                assert sum(parts) == figures.requests
                assert min(parts) >= 0
            whole = counted(rows, window.start, window.edges[-1], wanted)
            assert whole == {name: getattr(series.total, name) for name in whole}
            before = counted(rows, window.before, window.before_end, wanted)
            assert before == {name: getattr(series.before, name) for name in before}
            elapsed = counted(rows, window.start, window.hour, wanted)
            assert elapsed == {name: getattr(series.elapsed, name) for name in elapsed}
            lines = await read_breakdown(database, access, window, wanted, POSTGRES)
            for part in (lines.keys, lines.services, lines.operations):
                assert sum(line.requests for line in part) == whole["requests"]
                assert sum(line.cost_micro for line in part) == whole["cost_micro"]


def counted(rows, first: datetime, following: datetime, wanted: Filter) -> dict[str, int]:
    """The same figures, counted one by one."""
    found = [
        row
        for row in rows
        if first <= row["at"] < following
        and wanted.key_id in {None, row["key_id"]}
        and wanted.service_id in {None, row["service_id"]}
        and wanted.operation_id in {None, row["operation_id"]}
    ]
    return {
        "requests": len(found),
        "errors": sum(row["status"] >= 400 or row["outcome"] in {"failed", "cut"} for row in found),
        "refused": sum(row["outcome"] == "refused" for row in found),
        "bytes_out": sum(row["bytes_out"] for row in found),
        "cost_micro": sum(row["cost_micro"] for row in found),
    }


async def test_latencies_are_those_of_all_requests_folded_or_not(database, access):
    now = datetime.now(UTC)
    calls = [call(access.organization_id, now, uuid4(), total_us=us) for us in (1_000, 2_000, 4_000, 900_000)]
    await stored(database, calls[:2])
    await stored(database, calls[2:], folded=False)
    total = (await read_series(database, access, window_of(RANGES["24h"], now, "UTC"), Filter(), POSTGRES)).total
    assert total.p50_us == pytest.approx(2_000, rel=0.27)
    assert total.p99_us == pytest.approx(900_000, rel=0.27)


async def test_a_filter_of_what_is_anothers_finds_nothing(database, access):
    now, other, key = datetime.now(UTC), uuid4(), uuid4()
    await stored(database, [call(other, now, key, uuid4(), uuid4())])
    window = window_of(RANGES["24h"], now, "UTC")
    assert (await read_series(database, access, window, Filter(key_id=key), POSTGRES)).total.requests == 0
    lines = await read_breakdown(database, access, window, Filter(key_id=key), POSTGRES)
    assert lines.keys == lines.services == lines.operations == ()

"""What holds for every report: on an empty database, in a window without data, within bounds, and as CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from domain.faults import InvalidValue
from domain.log_filters import NAMES
from domain.reports.registry import REPORTS
from domain.reports.report_csv import report_csv
from domain.reports.shapes import Named, Report
from tests.integration.domain.reports.conftest import Reports

ALWAYS = {"live-traffic": 60, "funnel": 7, "credit-flows": 31}
KINDS = {
    "text": str, "count": int, "credits_micro": int, "percent": float, "duration_ms": float, "moment": datetime,
}  # fmt: skip


def check(report: Report) -> None:
    assert len(report.filters) == len(report.rows)
    assert report.sentence.endswith(".")
    assert len({column.name for column in report.columns}) == len(report.columns)
    for row in report.rows:
        for column, value in zip(report.columns, row, strict=True):
            assert value is None or isinstance(value, KINDS.get(column.kind, Named)), (column, value)
    for filters in report.filters:
        assert filters is None or set(filters) <= {*NAMES, "organization"}
    if report.series:
        assert all(len(line.values) == len(report.series.x) for line in report.series.lines)
    text = b"".join(report_csv(report)).decode()
    assert len(list(csv.reader(io.StringIO(text)))) == len(report.rows) + 1


async def test_every_report_of_an_empty_database_is_empty_and_whole(reports):
    for slug, kind in REPORTS.items():
        for which in kind.which or ("",):
            report = await reports.make(slug, which=which)
            check(report)
            assert (report.slug, report.title) == (slug, kind.title)
            if slug != "system-health":
                assert len(report.rows) == ALWAYS.get(slug, 0), slug
                figures = [value for row in report.rows for value in row if isinstance(value, int | float)]
                assert not any(figures), slug


async def test_a_window_in_which_nothing_was_is_empty(reports):
    for slug, kind in REPORTS.items():
        if "window" in kind.parameters:
            report = await reports.make(slug, **{"from": "2020-01-30", "to": "2020-02-02"})
            check(report)
            assert not any(value for row in report.rows for value in row if isinstance(value, int | float)), slug


async def test_names_that_spreadsheets_would_calculate_are_disarmed(reports, database):
    await database.execute(
        "insert into organization (id, slug, name) values (gen_random_uuid(), 'evil', '=HYPERLINK(\"http://x\")')"
    )
    await database.execute(
        "insert into api_key (id, organization_id, name, scheme, public_id, prefix, last4, digest, pepper_version)"
        " select gen_random_uuid(), id, '+1+1', 'hmac', 'a', 'pe_live_a', 'abcd', sha256('a'), 1 from organization"
    )
    lines = list(csv.reader(io.StringIO(b"".join(report_csv(await reports.make("key-hygiene"))).decode())))
    assert lines[1][0] == "'+1+1"
    assert lines[1][2] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize(
    "texts",
    [
        {"window": "2d"}, {"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"limit": "-1"}, {"which": "nonsense"},
        {"organization": "nobody"}, {"from": "yesterday"}, {"to": "2026-01-01"}, {"from": "2999-01-01"},
        {"from": "2026-01-02", "to": "2026-01-01"}, {"from": "1980-01-01"}, {"organization": "a\x00"},
        {"from": "0001-01-01"}, {"from": "9999-12-31T23:59:59-12:00"},
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused(reports, texts):
    with pytest.raises(InvalidValue):
        await reports.make("top-organizations", **texts)


async def test_no_report_of_others_can_be_asked_for_by_an_operation_that_is_none(reports):
    for text in ("x", "019ac0de-0000-7000-8000-000000000000"):
        with pytest.raises(InvalidValue):
            await reports.make("most-refused", operation=text)


def test_every_report_has_a_question_and_known_parameters():
    known = {"window", "organization", "service", "operation", "limit", "page", "which"}
    for slug, kind in REPORTS.items():
        assert kind.question.endswith("?")
        assert set(kind.parameters) <= known
        assert ("which" in kind.parameters) == bool(kind.which), slug


async def test_a_window_of_days_begins_at_midnight_and_one_of_hours_at_the_hour(database):
    now = datetime(2026, 11, 27, 1, 43, 12, tzinfo=UTC)
    at = Reports(database, now)
    hours = (await at.make("errors-by-service", window="24h")).series
    assert hours.x[0] == datetime(2026, 11, 26, 1, tzinfo=UTC)
    assert hours.x[-1] == datetime(2026, 11, 27, 1, tzinfo=UTC)
    days = (await at.make("errors-by-service", window="7d")).series
    assert (days.x[0], len(days.x)) == (datetime(2026, 11, 20, tzinfo=UTC), 8)
    edge = (await at.make("errors-by-service", **{"from": "2026-11-20T10:00", "to": "2026-11-20T12:00"})).series
    assert edge.x == tuple(datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (10, 11))
    assert timedelta(hours=1) == edge.x[1] - edge.x[0]

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from cli.log_lines import heading, line
from domain.log_reading import LogEntry


def entry(**changes) -> LogEntry:
    values = dict.fromkeys(LogEntry.__slots__) | {
        "id": uuid4(),
        "at": datetime(2026, 11, 21, 1, 2, 3, 4_000, tzinfo=UTC),
        "organization": "an-organization-with-a-long-slug",
        "method": "GET",
        "path": "/proxy/" + "x" * 300,
        "query": "",
        "status": 429,
        "outcome": "refused",
        "refusal": "rate_limited",
        "limit_name": "hour",
        "total_us": 12_345,
        "bytes_in": 0,
        "bytes_out": 0,
        "cost_micro": 0,
    }
    return LogEntry(**(values | changes))


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_a_line_fits_and_its_columns_stand_under_the_titles(width):
    text, titles = line(entry(), width).plain, heading(width).plain
    assert len(text) <= width
    assert text[titles.index("METHOD") :].startswith("GET")
    assert text[titles.index("PATH") :].startswith("/proxy")
    assert "12.3 ms" in text


def test_at_80_columns_the_reason_is_whole():
    assert line(entry(), 80).plain.endswith("… rate_limited (hour)")


def test_control_characters_of_a_path_do_not_reach_the_terminal():
    assert "\x1b" not in line(entry(path="/\x1b[31mred", query="\x07"), 120).plain


def test_what_was_served_has_no_note():
    assert line(entry(path="/a", outcome="served", refusal=None, limit_name=None, status=200), 120).plain.endswith("/a")

"""Two parts of a list as one: no further than both have looked, in one order, with a place to go on from."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.cursors import Cursor
from domain.log_reading import LogEntry
from domain.log_search import FoundLogs
from domain.log_store.merging import merged

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
NAMES = [field.name for field in fields(LogEntry)]


def entry(second: int, number: int) -> LogEntry:
    return LogEntry(**(dict.fromkeys(NAMES) | {"id": UUID(int=number), "at": BEGIN + timedelta(seconds=second)}))


def place(row: LogEntry) -> tuple[datetime, UUID]:
    return row.at, row.id


def part(rows: list[LogEntry], after: Cursor | None, limit: int) -> FoundLogs:
    """What a store answers."""
    behind = [row for row in rows if after is None or place(row) < (after.at, after.id)]
    found = behind[:limit]
    return FoundLogs(found, Cursor(found[-1].at, found[-1].id) if len(behind) > limit else None)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_pages_of_two_parts_are_the_whole_list(rows, limit, other_limit):
    made = sorted((entry(second, number + 1) for number, (second, _) in enumerate(rows)), key=place, reverse=True)
    mine = [row for row in made if rows[row.id.int - 1][1]]
    others = [row for row in made if not rows[row.id.int - 1][1]]
    found, after = [], None
    for _ in range(200):
        page = merged([part(mine, after, limit), part(others, after, min(limit, other_limit))], limit)
        assert len(page.entries) <= limit
        found += page.entries
        after = page.following
        if after is None:
            break
    assert found == made


def test_a_part_that_ran_out_of_time_is_the_end_of_the_page():
    stopped = BEGIN + timedelta(seconds=5)
    slow = FoundLogs([entry(9, 1)], Cursor(stopped, UUID(int=0)), stopped)
    found = merged([slow, FoundLogs([entry(8, 2), entry(4, 3)], None)], 10)
    assert [row.id.int for row in found.entries] == [1, 2]
    assert (found.following, found.looked_back_to) == (Cursor(stopped, UUID(int=0)), stopped)

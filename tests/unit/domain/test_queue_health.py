"""What the report on health says of the queue of jobs."""

from domain.job_queue import MOST_WAITING, QueueDepth
from domain.reports.health import LATE, OK, with_queue
from domain.reports.shapes import Report

REPORT = Report(
    slug="system-health", title="x", sentence="x.", columns=(),
    rows=(("mails", "waiting", "0", None, OK), ("catalog", "generation", "7", None, "")), filters=(None, None),
)  # fmt: skip


def rows(depth):
    made = with_queue(REPORT, depth)
    assert len(made.filters) == len(made.rows)
    assert (made.rows[0], made.rows[-1]) == REPORT.rows, "between what is delivered and the rest"
    return [(row[1], row[2], row[4]) for row in made.rows[1:-1]]


def test_its_depth_is_shown_and_judged():
    assert rows(QueueDepth(2, 1, 11, 0))[0] == ("wait for a worker", "2", OK)
    assert rows(QueueDepth(MOST_WAITING + 1, 1, 11, 0))[0] == ("wait for a worker", "51", LATE)
    assert rows(QueueDepth(0, 3, 1_200, 0))[1:] == [
        ("being worked on", "3", ""),
        ("for later, by schedule or to be tried again", "1,200", ""),
    ]


def test_redis_that_is_away_is_said():
    assert rows(None) == [("depth", "Redis does not answer", LATE)]

"""What /ready says of what the node's ingester wrote down last."""

import json

import pytest

from gateway.ingester.status import STATUS_FILE, UNSENT_SECONDS, read_report

SAID = {"lag_seconds": 0.0, "rejected": 0, "torn": 0, "spool_bytes": 0, "fault": ""}


@pytest.fixture
def report(tmp_path):
    (tmp_path / "journal").mkdir()

    def make(**said):
        (tmp_path / "journal" / STATUS_FILE).write_text(json.dumps({**SAID, **said}))
        return read_report(tmp_path)

    return make


def test_without_a_log_store_nothing_is_said_of_one(report):
    assert report().reasons() == []
    assert report(log_store=None).reasons() == []


@pytest.mark.parametrize(
    ("lag", "fault", "says"),
    [
        (UNSENT_SECONDS, "", []),
        (UNSENT_SECONDS + 1, "", ["log store: rows wait in PostgreSQL since 61 s"]),
        (2, "LogStoreAway: x", ["log store: rows wait in PostgreSQL since 2 s (LogStoreAway: x)"]),
    ],
)
def test_what_waits_for_the_log_store_is_told_behind_a_minute_or_with_its_fault(report, lag, fault, says):
    assert report(log_store={"lag_seconds": lag, "fault": fault}).reasons() == says

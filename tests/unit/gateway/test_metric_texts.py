"""/metrics explains itself, and shows an ingester that hangs."""

import os
from collections import Counter

import pytest

from gateway.metric_texts import TEXTS
from gateway.metrics import Counts, SharedCounts, exposition


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return SharedCounts(os.getpid())


def publish(shared, **gauges):
    counts = Counts(Counter())
    counts.gauges.update(gauges)
    shared.publish(counts)


def test_a_figure_has_its_text(shared):
    publish(shared, journal_bytes=7)
    assert f"# HELP paid_endpoint_journal_bytes {TEXTS['journal_bytes']}" in exposition(shared).decode()


def test_the_lag_grows_while_the_ingester_is_silent(shared, tmp_path):
    publish(shared, log_lag_seconds=0.5)
    assert "paid_endpoint_log_lag_seconds 0.5\n" in exposition(shared).decode()

    (said,) = tmp_path.rglob("*.json")
    long_ago = said.stat().st_mtime - 30
    os.utime(said, (long_ago, long_ago))
    line = next(line for line in exposition(shared).decode().splitlines() if line.startswith("paid_endpoint_log_lag"))
    assert 30 <= float(line.split()[1]) < 60

"""Long commands say how far they are, on stderr, and short ones say nothing."""

import pytest

from cli import progress
from cli.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_the_first_second_is_quiet(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    told = Progress("entries verified")
    clock.now += 0.9
    told(1_000, 5_000)
    told.end()
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_terminal_sees_one_line_that_changes(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    told = Progress("entries verified")
    for done in (1_000, 2_000):
        clock.now += 1.1
        told(done, 5_000)
        told(done + 1, 5_000)
    told.end()
    assert tuple(capsys.readouterr()) == ("", "\r1,000 of 5,000 entries verified\r2,000 of 5,000 entries verified\n")


def test_a_log_gets_a_line_every_ten_seconds(clock, capsys):
    told = Progress("entries sealed")
    for done in range(1, 25):
        clock.now += 1
        told(done * 1_000)
    told.end()
    assert tuple(capsys.readouterr()) == ("", "10,000 entries sealed\n20,000 entries sealed\n")

"""Durations on the command line."""

from datetime import timedelta

import pytest
import typer

from cli.durations import moment_after, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [("30d", timedelta(days=30)), ("24h", timedelta(days=1)), ("15m", timedelta(minutes=15)), ("0s", timedelta(0))],
)
def test_durations(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1y", "999999999999w"])
def test_other_texts_are_usage_errors(text):
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


def test_no_duration_is_no_moment():
    assert moment_after(None) is None

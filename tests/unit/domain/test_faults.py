"""A fault in one line: nothing dangles, and an error of a server with its details does not break a log line."""

import pytest

from domain.faults import in_one_line


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (TimeoutError(), "TimeoutError"),
        (OSError("refused"), "OSError: refused"),
        (ValueError("starting up\nDETAIL:  not yet consistent"), "ValueError: starting up"),
    ],
)
def test_one_line(fault, line):
    assert in_one_line(fault) == line

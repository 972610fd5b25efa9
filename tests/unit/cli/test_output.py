"""Tables stay readable: ids can be copied from a narrow terminal, and a pipe gets whole values."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ID = "0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10"
SHOW = f"""
from cli.output import print_rows
row = dict(id="{ID}", organization_slug="o" * 20, name="n" * int(__import__("sys").argv[1]), prefix="pe_live_C0YhvE18cJ")
print_rows([row, row], tuple(row), as_json=False)
"""


def in_a_terminal(columns: int) -> list[str]:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", SHOW, "20"], cwd=ROOT, stdout=theirs, env=environment, check=True, timeout=30)
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    return said.decode().replace("\r", "").splitlines()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""


@pytest.mark.parametrize(("columns", "lines"), [(80, 9), (200, 3)])
def test_a_terminal_shows_whole_ids(columns, lines):
    shown = in_a_terminal(columns)
    assert len(shown) == lines
    assert sum(ID in line for line in shown) == 2


def test_a_pipe_gets_one_line_for_each_row():
    run = [sys.executable, "-c", SHOW, "3000"]
    shown = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert len(shown.splitlines()) == 3
    assert shown.count("n" * 3000) == 2

"""How far a long command is: on stderr, after its first second, so that stdout stays data."""

import sys
import time

_EVERY, _EVERY_IN_A_LOG = 1.0, 10.0


class Progress:
    """`progress(done, all)` may be called as often as one likes. A terminal sees one line that changes, a log a few."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()
        self._open = False

    def __call__(self, done: int, of: int | None = None) -> None:
        """Tell, if it is time."""
        now = time.monotonic()
        if now - self._told < (_EVERY if self._terminal else _EVERY_IN_A_LOG):
            return
        self._told = now
        text = f"{done:,} of {of:,} {self._what}" if of is not None else f"{done:,} {self._what}"
        print(f"\r{text}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr, flush=True)
        self._open = self._terminal

    def end(self) -> None:
        """Leave the line, if one is open."""
        if self._open:
            print(file=sys.stderr)

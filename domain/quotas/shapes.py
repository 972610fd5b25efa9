"""How each period's window is counted in Redis (lease.lua).

Hour, day and month are fixed windows on the server's clock. Second and minute slide in slots: a permit is charged to
the slot of its deadline, so no stretch of a second (a minute) ever admits more than the amount; what was spent comes
back up to one slot late, or later while most of the window is free.
"""

from typing import NamedTuple

FIXED, MONTH, SLIDING, CONCURRENT = 1, 2, 3, 4


class Shape(NamedTuple):
    """`length`: seconds of a fixed window, milliseconds of a slot or of a lease of slots. `tail`: further numbers."""

    kind: int
    length: int
    tail: str


SHAPES = {
    "second": Shape(SLIDING, 100, " 10 300"),
    "minute": Shape(SLIDING, 3_000, " 20 20"),
    "hour": Shape(FIXED, 3_600, ""),
    "day": Shape(FIXED, 86_400, ""),
    "month": Shape(MONTH, 0, ""),
    "concurrent": Shape(CONCURRENT, 15_000, ""),
}
"""Sliding tails: slots in a window, and slots that a lease may reach ahead while seven eighths of the window are free."""

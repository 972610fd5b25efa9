"""A row of figures as one line of text."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60


def sparkline(values: Sequence[float], least: float | None = None) -> str:
    """Bars from the least value (or `least`) to the greatest, both named; many values are joined, the greatest shows."""
    if not values:
        return "nothing"
    per_bar = -(-len(values) // WIDTH)
    joined = [max(values[first : first + per_bar]) for first in range(0, len(values), per_bar)]
    low, high = min(values) if least is None else least, max(values)
    room = (high - low) or 1.0
    bars = "".join(BARS[min(len(BARS) - 1, max(0, int((value - low) / room * len(BARS))))] for value in joined)
    return f"{low:.4g} {bars} {high:.4g}"

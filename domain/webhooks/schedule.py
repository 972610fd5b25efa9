"""When a delivery is tried again: ten attempts over three days, each a little later than the last would say."""

from datetime import timedelta
from uuid import UUID

PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pause after each failed attempt; the first attempt is made at once."""
MOST_ATTEMPTS = len(PAUSES) + 1
SPREAD = 0.1


def pause_after(attempts: int, delivery_id: UUID) -> timedelta | None:
    """How long to wait after so many failed attempts; None when it is given up.

    Up to a tenth is added, always the same for one delivery, so that what failed together does not come back together.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return PAUSES[attempts - 1] * (1 + SPREAD * (delivery_id.int % 1000) / 1000)

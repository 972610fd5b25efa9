"""Whether this machine's clock may be believed: jobs end subscriptions and drop days of logs by it, and nothing brings these back."""

from datetime import datetime, timedelta
from typing import Any

from domain.faults import Fault

MOST_APART = timedelta(minutes=5)


class WrongClock(Fault):
    """PostgreSQL and the machine of a worker do not agree on what time it is."""

    code = "wrong_clock"


async def check_clock(connection: Any, now: datetime) -> None:
    """Raises WrongClock if `now` is not PostgreSQL's, give or take MOST_APART."""
    theirs = await connection.fetchval("select clock_timestamp()")
    if abs(now - theirs) > MOST_APART:
        raise WrongClock(
            f"The clock here says {now:%Y-%m-%d %H:%M} UTC, and PostgreSQL's {theirs:%Y-%m-%d %H:%M}:"
            " set them right. Until then nothing is done here by the clock."
        )

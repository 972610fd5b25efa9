"""Random lives of a state machine, seed after seed, for as long as wanted. PE_FULL=1 for the long form, PE_SEED for another
seed, PE_SECONDS for another time.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

FULL = os.environ.get("PE_FULL") == "1"


def first_seed(usual: int) -> int:
    """The seed that a test begins with."""
    return int(os.environ.get("PE_SEED", usual))


def lifetime(*, short: float, full: float = 600) -> float:
    """Seconds that a test goes on."""
    return float(os.environ.get("PE_SECONDS", full if FULL else short))


def live(
    machine: Callable[[], type[RuleBasedStateMachine]],
    begin: int,
    seconds: float,
    *,
    steps: int = 60,
    enough: Callable[[], bool] = lambda: True,
) -> int:
    """Run batches of five lives under the seeds from `begin` on until the time is over and it was enough; the last seed.

    What fails prints its seed.
    """
    batch: Any = settings(
        max_examples=5,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    end, number = time.monotonic() + seconds, begin
    while time.monotonic() < end or not enough():
        try:
            run_state_machine_as_test(seed(number)(machine()), settings=batch)
        except BaseException:
            print(f"PE_SEED={number}")
            raise
        number += 1
    return number - 1

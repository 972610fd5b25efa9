"""Random lives of workers and Redis against the oracle. PE_FULL=1 for the long form, PE_SEED for another seed."""

import pytest

from tests.leases.machine import Ground, machine
from tests.random_lives import first_seed, lifetime, live

SEED, SECONDS = first_seed(20261121), lifetime(short=25, full=900)


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_no_life_of_workers_and_redis_breaks_a_promise(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    last = live(lambda: machine(ground), SEED, SECONDS, steps=40)
    with capsys.disabled():
        print(f"\nlease protocol, seeds {SEED} to {last}:", *ground.figures.lines(), sep="\n  ")
    assert ground.figures.examples > 0

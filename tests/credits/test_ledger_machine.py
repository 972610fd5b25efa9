"""Random lives of a ledger against the oracle: L1 to L7 and L15. PE_FULL=1 for the long form, PE_SEED for another seed."""

import pytest

from tests.credits.machine import Figures, machine
from tests.random_lives import first_seed, lifetime, live

SEED, SECONDS = first_seed(20261126), lifetime(short=6)


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_l1_to_l7_and_l15_hold_whatever_is_done_in_whatever_order(
    fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures()
    last = live(lambda: machine(fresh_database_url, figures), SEED, SECONDS)
    with capsys.disabled():
        print(f"\nledger, seeds {SEED} to {last}:", *figures.lines(), sep="\n  ")
    assert figures.examples > 0
    assert {"purchase", "bonus", "usage", "refund", "adjustment", "expiry"} == set(figures.entries)

"""Random lives of jobs against an oracle of their money. PE_FULL=1 for the long form, PE_SEED for another seed."""

import pytest

from tests.async_machine import Figures, machine
from tests.random_lives import FULL, first_seed, lifetime, live

SEED, SECONDS = first_seed(20261127), lifetime(short=8)


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_holds_and_charges_agree_whatever_happens_in_whatever_order(
    fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures()
    last = live(lambda: machine(fresh_database_url, figures), SEED, SECONDS)
    with capsys.disabled():
        print(f"\njobs, seeds {SEED} to {last}:", *figures.lines(), sep="\n  ")
    kinds = {"completed", "overdue", "upstream_failed", "refused", "cancelled", "withdrawn"}
    assert set(figures.ends) <= kinds
    assert len(figures.ends) >= (6 if FULL else 4), "the lives were too dull to prove anything"

"""Random lives of leases: L8 to L11 and L14. PE_FULL=1 for the long form, PE_SEED for another seed."""

from collections import Counter

import pytest

from tests.credits.lease_machine import machine
from tests.random_lives import first_seed, lifetime, live

SEED, SECONDS = first_seed(20261126), lifetime(short=6)

WANTED = {
    *(
        "served at once",
        "served after waiting",
        "call whose answer lost",
        "asked again",
        "recalled",
        "late call refused",
        "late call made",
    ),
    *("reserved", "journal closed", "killed", "quiesced"),
}


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_workers_spend_what_was_lent_and_nothing_is_lost(
    fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: Counter[str] = Counter()
    live(lambda: machine(fresh_database_url, steps), SEED, SECONDS, enough=lambda: steps.keys() >= WANTED)
    with capsys.disabled():
        print("\nleases: " + ", ".join(f"{name} {count}" for name, count in sorted(steps.items())))

"""Mutated raw requests and upstream answers against the invariants. CONFORMANCE_SEEDS=20000 (or 5000:20000) makes a longer run."""

import os

import pytest

from tests.conformance import generated_responses
from tests.conformance.conversations import Bench
from tests.conformance.generated import complaints, converse_all, report

BATCH = 100
_first, _, _end = os.environ.get("CONFORMANCE_SEEDS", "400").rpartition(":")
SEEDS = range(int(_first or 0), int(_end))
BATCHES = [range(start, min(start + BATCH, SEEDS.stop)) for start in range(SEEDS.start, SEEDS.stop, BATCH)]


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
async def test_mutated_requests(seeds: range, bench: Bench) -> None:
    made, unmarked = await converse_all(bench, seeds)
    found = [(list(complaints(bench, each)), each) for each in made]
    failures = [report(complained, each) for complained, each in found if complained]
    failures += [
        f"belongs to no request: {bytes(record.raw[:500])!r}" for record in unmarked if record.state == "whole"
    ]
    if failures:
        pytest.fail("\n\n".join(failures), pytrace=False)


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
async def test_mutated_answers(seeds: range, bench: Bench) -> None:
    made = await generated_responses.converse_all(bench, seeds)
    found = [(list(generated_responses.complaints(bench, each)), each) for each in made]
    failures = [generated_responses.report(complained, each) for complained, each in found if complained]
    if failures:
        pytest.fail("\n\n".join(failures), pytrace=False)

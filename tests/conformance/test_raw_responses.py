"""Every case of raw-responses.jsonl (U1-U13). One after another, so that poison is found by the case that spread it."""

import pytest

from tests.conformance.cases import RESPONSES, Case
from tests.conformance.conversations import Bench
from tests.conformance.response_runs import complaints, converse, report


@pytest.mark.parametrize("case", RESPONSES, ids=[case.id for case in RESPONSES])
async def test_raw_response(case: Case, bench: Bench) -> None:
    run = await converse(bench, case)
    found = complaints(run)
    if found:
        pytest.fail(report(found, run), pytrace=False)

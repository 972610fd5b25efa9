"""Every case of raw-requests.jsonl, alone and as the second request on a kept connection (P1-P14, P16, K1, K2).

The conversations run as one batch per way, several at once; each test item judges one of them.
"""

import pytest

from tests.conformance.cases import REQUESTS, Case
from tests.conformance.conversations import Bench, Run, converse_all
from tests.conformance.judging import complaints, report
from tests.wire.upstream import Recorded

pytestmark = pytest.mark.timeout(240)
WAYS = {"alone": False, "second": True}
Batches = dict[str, tuple[dict[str, Run], list[Recorded]]]


@pytest.fixture(scope="module")
async def batches(bench: Bench, request: pytest.FixtureRequest) -> Batches:
    """All selected cases, run both ways."""
    wanted = {item.callspec.params["case"].id for item in request.session.items if "case" in _params(item)}
    cases = [case for case in REQUESTS if case.id in wanted] or REQUESTS
    done: Batches = {}
    for way, second in WAYS.items():
        runs, strangers = await converse_all(bench, cases, second=second)
        done[way] = ({run.case.id: run for run in runs}, strangers)
    return done


def _params(item: pytest.Item) -> dict[str, object]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None and item.module.__name__ == __name__ else {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REQUESTS, ids=[case.id for case in REQUESTS])
def test_raw_request(case: Case, way: str, batches: Batches, bench: Bench) -> None:
    run = batches[way][0][case.id]
    found = complaints(bench, run)
    alone = batches["alone"][0][case.id]
    if run.status != alone.status:
        found.append(f"same_both_ways: status {alone.status} alone, {run.status} as the second request")
    if found:
        pytest.fail(report(found, run), pytrace=False)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_else_reached_the_upstream(way: str, batches: Batches) -> None:
    strangers = [(record.state, record.problem, bytes(record.raw[:500])) for record in batches[way][1]]
    assert strangers == []

"""A request never notices which door it took: the same bytes in are the same bytes out, up to what differs by nature."""

import re

import pytest

from tests.conformance.cases import REQUESTS
from tests.conformance.conversations import Bench, Run, converse_all

pytestmark = pytest.mark.timeout(240)

# Whether the client's end or the upstream's answer is seen first, and so which of two right answers it gets, is a race.
CASES = [case for case in REQUESTS if not case.line["half_close"]]
_BY_NATURE = (
    (re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), b"ID"),
    (re.compile(rb"(?i)(date: )[^\r]*"), rb"\1DATE"),
    (re.compile(rb"(?i)(x-answer: )\d+"), rb"\1N"),
    (re.compile(rb"(;r=|;t=|x-ratelimit-remaining: |x-ratelimit-reset: )\d+"), rb"\1N"),
    (re.compile(rb"(/ordinary\?seq=)\d+"), rb"\1N"),
    (re.compile(rb"(answer )\d+( to )"), rb"\1N\2"),
    # The recording upstream numbers its answers, so their lengths grow.
    (re.compile(rb"(?i)(x-answer: N(?:\r\n[^\r]+)*\r\ncontent-length: )\d+"), rb"\1N"),
)


def _masked(received: bytes) -> bytes:
    for pattern, mask in _BY_NATURE:
        received = pattern.sub(mask, received)
    return received


@pytest.mark.parametrize("second", [False, True], ids=["alone", "second"])
async def test_both_doors_answer_the_same_bytes(benches: dict[str, Bench], second: bool) -> None:
    seen: dict[str, dict[str, Run]] = {}
    for door, bench in benches.items():
        runs, _ = await converse_all(bench, CASES, second=second)
        seen[door] = {run.case.id: run for run in runs}
    different = [
        f"{name}:\n  express {_masked(express.received)!r}\n  plain   {_masked(seen['plain'][name].received)!r}"
        for name, express in seen["express"].items()
        if (_masked(express.received), express.end) != (_masked(seen["plain"][name].received), seen["plain"][name].end)
    ]
    assert not different, "\n".join(different)

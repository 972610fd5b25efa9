"""No case of the research note is without a test, and the table says so truthfully."""

import re
from pathlib import Path

import pytest

from tests.conformance.cases import REQUESTS, RESPONSES
from tests.conformance.coverage import DUE, IDS, TESTS

NAMED = Path(__file__).parent.parent / "integration" / "gateway"


def _test_names() -> set[str]:
    return {name for path in NAMED.glob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}


@pytest.mark.parametrize("case", DUE)
def test_every_case_has_a_test(case: str) -> None:
    assert IDS.get(case) or TESTS.get(case)


def test_every_entry_of_the_table_exists() -> None:
    ids, names = [case.id for case in [*REQUESTS, *RESPONSES]], _test_names()
    missing = [each for each in sum(IDS.values(), ()) if not any(found.startswith(each) for found in ids)]
    missing += [each for each in sum(TESTS.values(), ()) if not any(found.startswith(each) for found in names)]
    assert missing == []


def test_response_cases_carry_their_research_case() -> None:
    named = {case.line["case"] for case in RESPONSES} - {"control"}
    assert named == {f"U{number}" for number in range(1, 14)}


def test_the_files_are_whole() -> None:
    assert (len(REQUESTS), len(RESPONSES)) == (305, 49)

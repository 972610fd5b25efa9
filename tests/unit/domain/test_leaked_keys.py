"""What was found in a leaked text goes through a page as line numbers and ids, and comes back the same."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faults import InvalidValue
from domain.operating.leaked_keys import Finding, findings_from_text, findings_to_text

FINDINGS = st.lists(st.builds(Finding, st.integers(1, 500), st.none() | st.uuids()), max_size=30).map(tuple)


@given(FINDINGS)
def test_findings_come_back_as_they_went(findings):
    assert findings_from_text(findings_to_text(findings)) == findings


def test_the_text_form_holds_line_numbers_and_ids():
    assert findings_to_text([Finding(3, UUID(int=7)), Finding(9, None)]) == f"3:{UUID(int=7)} 9:-"


@pytest.mark.parametrize("text", ["1", "x:-", "1:pe_live_4fQ9", "1:", ":-"])
def test_another_text_is_refused(text):
    with pytest.raises(InvalidValue, match="not one of ours"):
        findings_from_text(text)

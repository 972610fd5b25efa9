"""What helps against a refusal: actions that there are, by fields that they have."""

import pytest

from admin.actions.table import BY_SLUG
from admin.pages.remedies import REMEDIES
from domain.refusals import ALL


@pytest.mark.parametrize("code", REMEDIES)
def test_a_remedy_is_an_action_with_the_field_that_a_request_fills(code):
    assert code in {refusal.code for refusal in ALL}
    for slug, field in REMEDIES[code]:
        assert field in {each.name for each in BY_SLUG[slug].fields}

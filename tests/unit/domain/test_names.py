"""Names and slugs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faults import InvalidValue
from domain.names import SLUG_PATTERN, slug_from, valid_name, valid_slug


@given(st.text(max_size=200))
def test_any_name_gives_a_slug(name):
    assert SLUG_PATTERN.fullmatch(slug_from(name))


@pytest.mark.parametrize(
    ("name", "slug"), [("Acme Ltd.", "acme-ltd"), ("Café Zürich", "cafe-zurich"), ("東京", "organization")]
)
def test_a_slug_resembles_its_name(name, slug):
    assert slug_from(name) == slug


@pytest.mark.parametrize("text", ["", " ", "x" * 121, "a\nb", "\x1b[31m", "a\u202eb"])
def test_names_that_are_none(text):
    with pytest.raises(InvalidValue):
        valid_name(text)


@pytest.mark.parametrize("text", ["", "-a", "A", "a b", "a_b", "x" * 64])
def test_slugs_that_are_none(text):
    with pytest.raises(InvalidValue):
        valid_slug(text)


def test_space_around_a_name_goes():
    assert valid_name("  Acme ") == "Acme"
    assert valid_slug("a-1") == "a-1"

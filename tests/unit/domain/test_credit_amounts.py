"""Credits are exact."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.credit_amounts import MICRO, credits_text, parse_credits
from domain.faults import InvalidValue


@given(st.integers(0, 10**15))
def test_every_amount_survives_text(micro):
    text = credits_text(micro)
    assert parse_credits(text) == micro
    assert Decimal(text) * MICRO == micro


@pytest.mark.parametrize(("text", "micro"), [("0.1", 100_000), ("5.00", 5_000_000), ("0", 0), ("0.000001", 1)])
def test_decimal_text_becomes_micro_credits(text, micro):
    assert parse_credits(text) == micro


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", ".5", "1.", "1e3", "NaN", "0.0000001", "1,5", "1_0", "99999999999", "٣"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(InvalidValue):
        parse_credits(text)


def test_negative_amounts_are_shown():
    assert credits_text(-1_500_000) == "-1.5"

"""What an operator types becomes a value, or a sentence that says what to type."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from admin.actions.action import Values
from admin.actions.kinds import Cap, Credits, Moment, SignedCredits
from portal.web.failures import field_errors


class Typed(Values):
    """One of each."""

    credits: Credits = 1
    signed: SignedCredits = 1
    cap: Cap = None
    moment: Moment = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("credits", " 12.5 ", 12_500_000),
        ("signed", "-0.000001", -1),
        ("signed", "\u22125", -5_000_000),
        ("signed", "+ 5", 5_000_000),
        ("signed", "5", 5_000_000),
        ("cap", "none", None),
        ("cap", "None", None),
        ("cap", "0", 0),
        ("moment", "2026-11-27T18:00", datetime(2026, 11, 27, 18, tzinfo=UTC)),
        ("moment", "2026-11-27T18:00+02:00", datetime(2026, 11, 27, 16, tzinfo=UTC)),
        ("moment", "2026-11-27", datetime(2026, 11, 27, tzinfo=UTC)),
    ],
)
def test_what_is_typed_is_taken(name, text, value):
    assert getattr(Typed(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("credits", "0", "Write more than 0 credits."),
        ("credits", "-1", "is no amount of credits"),
        ("credits", "1,5", "is no amount of credits"),
        ("credits", "1000000001", "not over 1000000000"),
        ("signed", "-0", "Write more than 0 credits."),
        ("signed", "--1", "is no amount of credits"),
        ("cap", "never", "is no amount of credits"),
        ("moment", "tomorrow", "such as 2026-11-27T18:00"),
        ("moment", "2026-13-01T00:00", "such as 2026-11-27T18:00"),
    ],
)
def test_what_is_no_value_is_told(name, text, sentence):
    with pytest.raises(ValidationError) as fault:
        Typed(**{name: text})
    [error] = field_errors(fault.value)
    assert error["field"] == name
    assert sentence in error["message"]

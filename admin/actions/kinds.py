"""Kinds of values in forms, parsed; what is wrong with one is told in the domain's words."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic import Field as Constraint

from domain.credit_amounts import parse_credits
from domain.faults import Fault


def _told(parse: Callable[[str], Any]) -> BeforeValidator:
    def parsed(value: object) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse(value.strip())
        except Fault as fault:
            raise ValueError(str(fault)) from None

    return BeforeValidator(parsed)


def _positive(text: str) -> int:
    micro = parse_credits(text)
    if micro == 0:
        raise ValueError("Write more than 0 credits.")
    return micro


def _signed(text: str) -> int:
    sign, digits = (text[0], text[1:].strip()) if text[:1] in ("+", "-", "\u2212") else ("+", text)
    return _positive(digits) if sign == "+" else -_positive(digits)


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Write a day and a time, such as 2026-11-27T18:00; it is in UTC.") from None


def _cap(text: str) -> int | None:
    return None if text.lower() == "none" else parse_credits(text)


Credits = Annotated[int, _told(_positive)]
"""More than 0, in micro-credits."""
SignedCredits = Annotated[int, _told(_signed)]
"""Not 0, in micro-credits; `-5` takes 5 away."""
Cap = Annotated[int | None, _told(_cap)]
"""Micro-credits; `none` is None."""
Moment = Annotated[datetime, _told(_moment)]
"""With a time zone: what names none is in UTC."""
Email = Annotated[str, Constraint(min_length=3, max_length=254)]
Days = Annotated[int, Constraint(ge=1, le=365)]

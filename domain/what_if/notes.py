"""What a replay cannot know, in sentences for those who read its figures."""

from collections.abc import Collection

from domain.what_if.drafts import Draft
from domain.what_if.results import Totals

_TODAY = (
    "Both sides are replayed with what holds now: terms, overrides and prices of earlier days are not looked up. What was"
    " recorded in fact stands beside."
)
_UNKNOWN_ANSWER = (
    "Requests that were refused in fact count as asked: where a side lets them through, they cost what a good answer"
    " costs, and take as long as their refusal took."
)
_SLIDING = (
    "Limits of a second or a minute slide: they are replayed to the slot (0.1 s, 3 s). Several workers that hold permits"
    " ahead may refuse a little more."
)
_ROLLUPS = (
    "Days without logs are estimated from rollups: ranges hold for any order of the requests within their hour or day."
    " There, refusals of all kinds count as asked at the most, credits are taken to last, and included credits are not"
    " given."
)
_RESERVED = "Operations that are reserved cost what was recorded where that was not the price, for their upstream may have said it."
_OVERRIDES = "Overrides of limits hold on both sides, by the limit's name, for all days."
_CURRENCIES = "Prices of months are in more than one currency: their sums say nothing."
_INCLUDED = "Included credits: the first month has all of them, also where the replay begins in its middle."


def notes_of(draft: Draft, totals: Totals, seen: Collection[str]) -> tuple[str, ...]:
    """Sentences that apply."""
    notes = [_TODAY]
    if totals.recorded_refused:
        notes.append(_UNKNOWN_ANSWER)
    if any(limit.period in {"second", "minute"} for limit in draft.terms.limits):
        notes.append(_SLIDING)
    if totals.estimated:
        notes.append(_ROLLUPS)
    if "reserved" in seen:
        notes.append(_RESERVED)
    if "overrides" in seen:
        notes.append(_OVERRIDES)
    if "currencies" in seen:
        notes.append(_CURRENCIES)
    if draft.included_micro:
        notes.append(_INCLUDED)
    for one in sorted(each for each in seen if each.startswith("formula ")):
        _, name, fields = one.split(" ", 2)
        notes.append(
            f"The cost formula of {name} needs {fields}, which no log has: its recorded cost is used, within the price."
        )
    return tuple(notes)

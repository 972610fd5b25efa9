"""A replay's answer as texts: figures for people, and a file for spreadsheets."""

from datetime import datetime

from domain.credit_amounts import credits_text
from domain.csv_texts import csv_lines
from domain.what_if.results import Impact, Range, WhatIf

COLUMNS = (
    "organization", "name", "plan", "asked_least", "asked_most", "estimated", "refused_recorded", "refused_now_least",
    "refused_now_most", "refused_draft_least", "refused_draft_most", "refused_by", "first_refused_at",
    "out_of_credits_at", "credits_recorded", "credits_now_least", "credits_now_most", "credits_draft_least",
    "credits_draft_most", "credits_difference_least", "credits_difference_most", "currency", "monthly_cents_now",
    "monthly_cents_draft", "samples",
)  # fmt: skip
_SIGNED = frozenset({COLUMNS.index("credits_difference_least"), COLUMNS.index("credits_difference_most")})


def range_text(one: Range) -> str:
    """`12`, or `3 to 12`."""
    return str(one.least) if one.exact else f"{one.least} to {one.most}"


def credits_range_text(one: Range, *, signed: bool = False) -> str:
    """The same in credits; `signed` has a plus before what is more than 0."""
    ends = [_signed(one.least) if signed else credits_text(one.least)]
    if not one.exact:
        ends.append(_signed(one.most) if signed else credits_text(one.most))
    return " to ".join(ends)


def refused_by_text(impact: Impact) -> str:
    """`hour 12, day 3 (shadow)`: limits of the draft that refused, or would have."""
    return ", ".join(
        f"{each.name} {range_text(each.refused)}{' (shadow)' if each.shadow else ''}"
        for each in impact.limits
        if each.refused.most
    )


def what_if_csv(found: WhatIf) -> bytes:
    """One line for each listed organization, credits as decimal numbers, times in ISO 8601."""
    return csv_lines([COLUMNS, *map(_line, found.impacts)], numbers=_SIGNED)


def _line(one: Impact) -> tuple[object, ...]:
    credits_ = (one.now.spent, one.draft.spent, one.spent_difference)
    return (
        one.slug, one.name, one.plan, *one.asked, one.estimated, one.recorded_refused, *one.now.refused,
        *one.draft.refused, refused_by_text(one), _moment(one.first_refused_at), _moment(one.out_of_credits_at),
        credits_text(one.recorded_spent), *(credits_text(end) for each in credits_ for end in each), one.currency,
        one.now.monthly_cents, one.draft.monthly_cents, " ".join(str(each.request_id) for each in one.samples),
    )  # fmt: skip


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()


def _signed(micro: int) -> str:
    return f"+{credits_text(micro)}" if micro > 0 else credits_text(micro)

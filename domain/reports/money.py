"""Where credits came from and went, day by day: entries of the ledger, and what usage cost, from its sums.

Usage entries are not read: there are as many as batches of every organization. What they add up to is the cost of usage,
counted here on the day of the request, not of its entry.
"""

import dataclasses
from collections import defaultdict
from datetime import datetime
from typing import Any

from domain.reports import sums
from domain.reports.shapes import Chart, Column, Fact, Line, Report, ReportChoice
from domain.reports.windows import DAY, whole_days
from domain.reports.words import log_filters, up_to

# A place among the days is found faster than a day of a time zone is cut off.
_ENTRIES = """
select width_bucket(created_at, $3::timestamptz[]) as place, type, credit = 'credits' as incoming, sum(amount_micro)::bigint as amount
  from credit_entry where type <> 'usage' and created_at >= $1 and created_at < $2 {whose} group by 1, 2, 3
"""
_OWNED = """
select coalesce(sum(balance_micro), 0)::bigint as owned, coalesce(sum(leased_micro), 0)::bigint as leased,
       coalesce(sum(reserved_micro), 0)::bigint as reserved, count(*) filter (where balance_micro > 0) as owners
  from credit_account where $1::uuid is null or organization_id = $1
"""
_COLUMNS = (
    Column("day", "Day (UTC)", "moment"),
    Column("bought", "Bought", "credits_micro"),
    Column("granted", "Granted", "credits_micro"),
    Column("spent", "Spent on requests", "credits_micro"),
    Column("paid_back", "Refunded to the payer", "credits_micro"),
    Column("given_back", "Given back for requests", "credits_micro"),
    Column("adjusted", "Adjusted", "credits_micro"),
    Column("expired", "Expired", "credits_micro"),
    Column("net", "Change of what is owed", "credits_micro"),
)
_SIGNS = {"bought": 1, "granted": 1, "spent": -1, "paid_back": -1, "given_back": 1, "adjusted": 1, "expired": -1}
_PLACES = {
    ("purchase", True): ("bought", 1),
    ("bonus", True): ("granted", 1),
    ("refund", False): ("paid_back", 1),
    ("refund", True): ("given_back", 1),
    ("adjustment", True): ("adjusted", 1),
    ("adjustment", False): ("adjusted", -1),
    ("expiry", False): ("expired", 1),
}
"""Column and sign of an entry's type and of whether it came to the organization."""


async def credit_flows(connection: Any, choice: ReportChoice) -> Report:
    """Newest day first; and what is owed to customers now."""
    window = choice.window
    days = dataclasses.replace(choice, window=whole_days(window))
    flows = await _flows(connection, days)
    owned = await connection.fetchrow(_OWNED, choice.organization.id if choice.organization else None)
    rows: list[tuple[Any, ...]] = []
    for day in days.window.buckets:
        figures = flows[day]
        amounts = tuple(figures[name] for name in _SIGNS)
        rows.append((day, *amounts, sum(sign * figures[name] for name, sign in _SIGNS.items())))
    return Report(
        slug="credit-flows",
        title="Revenue and credit flows",
        sentence="Micro-credits from the ledger's entries by the day on which they were posted, and what requests cost, from"
        f" sums of usage by the day on which they ended, {days.window.words}; the little that could not be taken for them any more"
        f" (WRITTEN OFF in an ingester's log) is in it. {await up_to(connection, days)}",
        columns=_COLUMNS,
        rows=tuple(reversed(rows)),
        filters=tuple(
            log_filters(days, **{"from": row[0].isoformat(), "to": (row[0] + DAY).isoformat()})
            for row in reversed(rows)
        ),
        series=Chart(
            days.window.buckets,
            tuple(
                Line(column.name, "credits_micro", tuple(row[place] for row in rows))
                for place, column in enumerate(_COLUMNS)
                if place
            ),
        ),
        facts=(
            Fact("owed", "Owned by customers now (liability)", "credits_micro", owned["owned"]),
            Fact("leased", "Of it with workers", "credits_micro", owned["leased"]),
            Fact("reserved", "Of it reserved", "credits_micro", owned["reserved"]),
            Fact("owners", "Organizations with credits", "count", owned["owners"]),
            *(
                Fact(column.name, column.title, "credits_micro", sum(row[place] for row in rows))
                for place, column in enumerate(_COLUMNS)
                if place
            ),
        ),
    )


async def _flows(connection: Any, choice: ReportChoice) -> dict[datetime, dict[str, int]]:
    """The figures of each day."""
    flows: dict[datetime, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SIGNS, 0))
    window, organization = choice.window, choice.organization
    whose, values = ("and organization_id = $4", [organization.id]) if organization else ("", [])
    # Until the end of its last day: entries of the present day are in it.
    days = list(window.buckets)
    for place, type_, incoming, amount in await connection.fetch(
        _ENTRIES.format(whose=whose), window.since, days[-1] + DAY, days, *values
    ):
        name, sign = _PLACES[type_, incoming]
        flows[days[place - 1]][name] += sign * amount
    for day, row in (await sums.by_time(connection, choice)).items():
        flows[day]["spent"] += row["cost_micro"]
    return flows

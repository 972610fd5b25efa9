"""What if a plan were another one: a draft of its terms, replayed against what was asked in the past days."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

import asyncpg
from starlette.responses import Response

from admin.web.admission import working
from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.credit_amounts import parse_credits
from domain.faults import Fault, InvalidValue, TooManyTries
from domain.limit_texts import limit_texts, parse_limits
from domain.operators import Right
from domain.plan_prices import parse_price
from domain.plans import list_plans
from domain.what_if.drafts import Changes, read_draft
from domain.what_if.replaying import Bound, what_if
from domain.what_if.results import WhatIf
from domain.what_if.scopes import Scope
from domain.what_if.texts import credits_range_text, range_text, refused_by_text, what_if_csv
from portal.web.failures import status_of

PATH = "/what-if"
BOUND = Bound(counted=2_000_000, rows=300_000, seconds=6.0, impacts=100)
"""Of one run on the page; `paid-endpoint what-if` goes on to the end."""
NAMES = ("plan", "limits", "shadow", "quotas", "prices", "month", "included", "days", "who", "organization")
DAYS = (
    ("0", "today, so far"),
    ("1", "yesterday"),
    ("3", "3 days"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
)
STATEMENT_MS = 6_000
"""Of one statement: how many requests each organization made is counted first, of all that are chosen."""
RUN_SECONDS = 20.0
"""Of one run with all of its statements, and with what a slow log store takes: others wait for it."""
_TOO_MUCH = (
    "These are more requests than a page counts. Choose fewer days or fewer organizations; `paid-endpoint what-if` goes"
    " through all of them."
)
_LONGEST = 4_000
_one_at_a_time = asyncio.Semaphore(1)
_WAIT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class WhatIfPage(Page):
    """The draft as it stands in the fields, and what came of it; `found` is None before the first run."""

    template: ClassVar[str] = "what_if.html"
    title: str = "What if"
    plans: tuple[tuple[str, str], ...]
    given: dict[str, str]
    found: WhatIf | None = None
    csv: str = ""
    days: tuple[tuple[str, str], ...] = DAYS

    ranged = staticmethod(range_text)
    credits_ranged = staticmethod(credits_range_text)
    refused_by = staticmethod(refused_by_text)


async def show(visit: Visit) -> Page | Response:
    """GET /what-if, and /what-if.csv."""
    given = {name: text for name in NAMES if (text := chosen(visit, name)[:_LONGEST])}
    async with working(visit, changes=False):
        plans = tuple((plan.slug, plan.name) for plan in await list_plans(visit.connection))
        slug = given.get("plan")
        if slug and not set(given) - {"plan"}:
            given |= await _terms_of(visit.connection, slug)
            return WhatIfPage(plans=plans, given=given)
    if not slug:
        return WhatIfPage(plans=plans, given=given)
    try:
        found = await _replayed(visit, given)
    except Fault as fault:
        return WhatIfPage(plans=plans, given=given, error=str(fault), status=status_of(fault))
    if visit.request.url.path.endswith(".csv"):
        fields = {"content-disposition": f'attachment; filename="what-if-{slug}.csv"'}
        return Response(what_if_csv(found), media_type="text/csv; charset=utf-8", headers=fields)
    return WhatIfPage(plans=plans, given=given, found=found, csv=f"{PATH}.csv?{urlencode(given)}")


async def _replayed(visit: Visit, given: dict[str, str]) -> WhatIf:
    """One run, one at a time in this process: it keeps a core busy. Raises TooManyTries, and what is wrong with the draft."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await _one_at_a_time.acquire()
    except TimeoutError:
        text = "Other replays are under way. Try again in a moment."
        raise TooManyTries(text, retry_after_seconds=10) from None
    try:
        async with asyncio.timeout(RUN_SECONDS), visit.services.database.acquire() as connection:
            await connection.execute(f"set statement_timeout = {STATEMENT_MS}")  # until it goes back to the pool
            draft = await read_draft(connection, given["plan"], _changes(given))
            return await what_if(
                connection, draft, _scope(given), visit.services.logs, now=datetime.now(UTC), bound=BOUND
            )
    except (asyncpg.QueryCanceledError, TimeoutError):
        raise InvalidValue(_TOO_MUCH) from None
    finally:
        _one_at_a_time.release()


def _changes(given: dict[str, str]) -> Changes:
    names = ("limits", "shadow", "quotas", "prices")
    lines = {name: [line.strip() for line in given.get(name, "").splitlines() if line.strip()] for name in names}
    drafted = any(lines[name] for name in ("limits", "shadow", "quotas"))
    return Changes(
        limits=parse_limits(lines["limits"], lines["shadow"], lines["quotas"]) if drafted else None,
        prices=[parse_price(text) for text in lines["prices"]],
        price_cents=_cents(given.get("month")),
        included_micro=parse_credits(given["included"]) if "included" in given else 0,
    )


def _scope(given: dict[str, str]) -> Scope:
    text = given.get("days", "7")
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise InvalidValue("The number of days is a whole number.")
    named = tuple(given.get("organization", "").split())
    who = given.get("who", "plan")
    return Scope(int(text), None if who == "everybody" else given["plan"], named, today=int(text) == 0)


def _cents(text: str | None) -> int | None:
    if text is None:
        return None
    whole, _, rest = text.partition(".")
    if not (
        whole.isascii() and whole.isdigit() and len(whole) <= 9 and len(rest) <= 2 and (not rest or rest.isdigit())
    ):
        raise InvalidValue("Write the price of a month as 49 or 49.90.")
    return int(whole) * 100 + int(rest.ljust(2, "0"))


async def _terms_of(connection: Any, slug: str) -> dict[str, str]:
    """The fields as the plan has them now, to begin with."""
    plan = next((plan for plan in await list_plans(connection) if plan.slug == slug), None)
    if plan is None:
        return {}
    texts: dict[str, list[str]] = {"limits": [], "shadow": [], "quotas": []}
    for limit, text in zip(plan.limits, limit_texts(plan.limits), strict=True):
        texts["quotas" if limit.unit == "quota" else "shadow" if limit.shadow else "limits"].append(text)
    return {name: "\n".join(lines) for name, lines in texts.items() if lines}


PAGES = (
    PageRoute(PATH, show, right=Right.ANALYSE, connected=False),
    PageRoute(f"{PATH}.csv", show, right=Right.ANALYSE, connected=False),
)

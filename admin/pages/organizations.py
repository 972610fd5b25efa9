"""The list of organizations, and one whole customer at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.access import Access
from domain.analytics.series import series_of
from domain.analytics.sources import Filter
from domain.analytics.windows import RANGES, window_of
from domain.async_jobs.reading import JobFilter, JobRecord, list_anybodys_jobs
from domain.back_office.customers import STATES, Customer, Person, list_customers, operators_access, people_of
from domain.credits.accounts import Balance, fetch_balance
from domain.credits.entries import LedgerEntry
from domain.credits.statements import StatementFilter, list_statement
from domain.cursors import parse_cursor
from domain.entitlements import Entitlements
from domain.faults import NotFound
from domain.key_listing import KeyEntry, count_keys, list_entries
from domain.limit_overrides import LimitOverrideRecord, list_overrides
from domain.log_reading import LogEntry
from domain.log_search import LogSearch
from domain.log_store.store import unless_away
from domain.operators import Right
from domain.organizations import OrganizationRecord, fetch_organization
from domain.subscription_reading import SubscriptionRecord, fetch_entitlements, fetch_record
from domain.webhooks.endpoint_reading import list_endpoints
from portal.charts.usage import Drawing, drawings

PATH = "/organizations"
_SOME = 8
"""Rows of each list on an organization's page."""


@dataclass(frozen=True, kw_only=True)
class OrganizationsPage(Page):
    """A page of organizations. `plans` are slugs to choose from."""

    template: ClassVar[str] = "organizations.html"
    title: str = "Organizations"
    customers: list[Customer]
    state: str
    plan: str
    plans: list[str]
    first: str
    following: str
    states: tuple[str, ...] = STATES


@dataclass(frozen=True, kw_only=True)
class OrganizationPage(Page):
    """One customer. Money is None for who may not see it, requests while the log store does not answer."""

    template: ClassVar[str] = "organization.html"
    organization: OrganizationRecord
    people: Sequence[Person]
    keys: tuple[KeyEntry, ...]
    key_counts: dict[str, int]
    subscription: SubscriptionRecord | None
    entitled: Entitlements | None
    overrides: list[LimitOverrideRecord]
    balance: Balance | None
    ledger: list[LedgerEntry] | None
    requests: list[LogEntry] | None
    jobs: tuple[JobRecord, ...]
    endpoints: list[Any]
    drawing: Drawing
    total: Any
    range: str
    ranges: tuple[tuple[str, str], ...]


async def show_all(visit: Visit) -> Page:
    """GET /organizations."""
    state, plan = chosen(visit, "state"), chosen(visit, "plan")
    cursor = parse_cursor(chosen(visit, "cursor"))
    known = state if state in STATES else None
    customers, following = await list_customers(visit.connection, state=known, plan=plan or None, after=cursor)
    plans = [row["slug"] for row in await visit.connection.fetch("select slug from plan order by slug limit 200")]
    query = {name: value for name, value in (("state", known), ("plan", plan)) if value}
    return OrganizationsPage(
        customers=customers,
        state=known or "",
        plan=plan,
        plans=plans,
        first=_url(query) if cursor else "",
        following=_url({**query, "cursor": str(following)}) if following else "",
    )


async def show(visit: Visit, slug: str) -> Page:
    """GET /organizations/{slug}."""
    connection = visit.connection
    access = await operators_access(connection, slug, visit.operator.id)
    organization = await fetch_organization(connection, access.organization_id)
    range_ = RANGES.get(chosen(visit, "range"), RANGES["24h"])
    window = window_of(range_, datetime.now(UTC), visit.here.session.time_zone)
    series = await series_of(connection, organization.id, window, Filter(), visit.services.logs)
    money = await _money(visit, access)
    page = OrganizationPage(
        title=organization.name,
        organization=organization,
        people=await people_of(connection, organization.id),
        keys=(await list_entries(connection, access, limit=_SOME)).entries,
        key_counts=await count_keys(connection, access),
        subscription=await _subscription(connection, access),
        entitled=await fetch_entitlements(connection, organization.id),
        overrides=await list_overrides(connection, organization.id),
        balance=money[0] if money else None,
        ledger=money[1] if money else None,
        requests=[],
        jobs=(await list_anybodys_jobs(connection, organization.id, JobFilter(), limit=_SOME)).jobs,
        endpoints=await list_endpoints(connection, access),
        drawing=drawings(series)[0],
        total=series.total,
        range=range_.name,
        ranges=tuple((one.name, one.label) for one in RANGES.values()),
    )
    # Last, because it sets for the rest of the transaction how statements are planned.
    found = await unless_away(visit.services.logs.search(connection, organization.id, LogSearch(), limit=_SOME))
    return replace(page, requests=None if found is None else found.entries)


async def _money(visit: Visit, access: Access) -> tuple[Balance, list[LedgerEntry]] | None:
    if not visit.may(Right.LOOK_MONEY):
        return None
    balance = await fetch_balance(visit.connection, access.organization_id)
    statement = await list_statement(visit.connection, access, StatementFilter(), limit=_SOME)
    return balance, statement.entries


async def _subscription(connection: Any, access: Access) -> SubscriptionRecord | None:
    try:
        return await fetch_record(connection, access.organization_id)
    except NotFound:
        return None


def _url(query: dict[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


PAGES = (
    PageRoute(PATH, show_all, right=Right.LOOK),
    PageRoute(f"{PATH}/{{slug}}", show, right=Right.LOOK),
)

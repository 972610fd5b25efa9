"""Credits of the organization that a call is about: exact decimal texts."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field
from starlette.responses import Response

from domain.access import Permission
from domain.credit_amounts import credits_text
from domain.credits.entries import LedgerEntry
from domain.credits.statements import (
    StatementFilter,
    list_statement,
    own_balance,
    own_entry,
    own_requests_behind,
)
from domain.credits.statistics import MOST_DAYS, Spender, read_rate, read_statistics
from domain.cursors import parse_cursor
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Credits, ListPage, PageQuery, Query
from portal.statement_export import statement_export
from portal.web.visit import Visit

EntryTypeName = Literal["purchase", "bonus", "usage", "refund", "adjustment", "expiry"]
MOST_REQUESTS = 200


class ExpiryAnswer(Answer):
    """At that moment at most so many credits are lost."""

    expires_at: datetime
    credits: Credits


class BalanceAnswer(Answer):
    """What there is. `leased` is in the hands of the gateway, `reserved` for requests under way: both part of `balance`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "balance": "120.5", "available": "100", "leased": "20", "reserved": "0.5",
                    "spent_a_day": "4.2", "days_left": 28,
                    "expiries": [{"expires_at": "2026-12-31T00:00:00Z", "credits": "50"}],
                }
            ]
        }
    )  # fmt: skip

    balance: Credits
    available: Credits
    leased: Credits
    reserved: Credits
    spent_a_day: Credits
    days_left: int | None
    expiries: list[ExpiryAnswer]


class EntryAnswer(Answer):
    """One movement: `credits` is negative for what went out. `requests` is how many a usage entry stands for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "number": 12, "at": "2026-11-26T10:00:00Z",
                    "type": "usage", "credits": "-0.5", "balance_after": "120.5", "reason": "", "reference": "",
                    "refund_of": None, "requests": 5,
                }
            ]
        }
    )  # fmt: skip

    id: UUID
    number: int
    at: datetime
    type: str
    credits: Credits
    balance_after: Credits
    reason: str
    reference: str
    refund_of: UUID | None
    requests: int


class ChargedRequest(Answer):
    """A request that was paid for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0198a7c2-7d1e-7c11-9a55-8f2a5a1f0c11", "at": "2026-11-26T10:00:00Z", "method": "GET",
                    "path": "/weather/today", "status": 200, "credits": "0.1",
                }
            ]
        }
    )  # fmt: skip

    id: UUID
    at: datetime
    method: str
    path: str
    status: int
    credits: Credits


class DayAnswer(Answer):
    """One UTC day."""

    day: date
    spent: Credits
    received: Credits


class SpenderAnswer(Answer):
    """Something that credits were spent on; an empty name: it is gone, or undeclared."""

    name: str
    spent: Credits
    requests: int


class StatisticsAnswer(Answer):
    """Days in order; the ten that cost most of services, operations and keys."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "days": [{"day": "2026-11-26", "spent": "4.2", "received": "0"}],
                    "services": [{"name": "weather", "spent": "4.2", "requests": 42}],
                    "operations": [{"name": "weather: today", "spent": "4.2", "requests": 42}],
                    "keys": [{"name": "production", "spent": "4.2", "requests": 42}],
                }
            ]
        }
    )  # fmt: skip

    days: list[DayAnswer]
    services: list[SpenderAnswer]
    operations: list[SpenderAnswer]
    keys: list[SpenderAnswer]


class FilterQuery(Query):
    """Which entries: of one type, from `since` on and before `until`."""

    type: Annotated[EntryTypeName | None, Field(description="Only entries of this type.")] = None
    since: Annotated[AwareDatetime | None, Field(description="From this moment on.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Before this moment.")] = None


class TransactionQuery(FilterQuery, PageQuery):
    """The same, and which page."""


class StatisticsQuery(Query):
    """How far back."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS, description="UTC days, with today.")] = 30


async def balance(visit: Visit) -> BalanceAnswer:
    """GET /api/credits/balance."""
    own = await own_balance(visit.connection, visit.access)
    held = own.balance
    rate = await read_rate(visit.connection, visit.access, held.available_micro + held.leased_micro)
    return BalanceAnswer(
        balance=credits_text(held.balance_micro),
        available=credits_text(held.available_micro),
        leased=credits_text(held.leased_micro),
        reserved=credits_text(held.reserved_micro),
        spent_a_day=credits_text(rate.micro_a_day),
        days_left=rate.days_left,
        expiries=[
            ExpiryAnswer(expires_at=one.expires_at, credits=credits_text(one.amount_micro)) for one in own.expiries
        ],
    )


async def transactions(visit: Visit, query: TransactionQuery) -> ListPage[EntryAnswer]:
    """GET /api/credits/transactions."""
    page = await list_statement(
        visit.connection, visit.access, _filter(query), limit=query.limit, after=parse_cursor(query.cursor)
    )
    return ListPage[EntryAnswer](
        data=[_entry(entry) for entry in page.entries], next_cursor=str(page.older) if page.older else None
    )


async def transaction(visit: Visit, entry_id: UUID) -> EntryAnswer:
    """GET /api/credits/transactions/{entry_id}."""
    return _entry(await own_entry(visit.connection, visit.access, entry_id))


async def requests_of(visit: Visit, entry_id: UUID) -> ListPage[ChargedRequest]:
    """GET /api/credits/transactions/{entry_id}/requests."""
    found = await own_requests_behind(
        visit.connection, visit.access, entry_id, visit.services.logs, limit=MOST_REQUESTS
    )
    return ListPage[ChargedRequest](
        data=[
            ChargedRequest(
                id=one.id,
                at=one.at,
                method=one.method,
                path=one.path,
                status=one.status,
                credits=credits_text(one.cost_micro),
            )
            for one in found
        ]
    )


async def export(visit: Visit, query: FilterQuery) -> Response:
    """GET /api/credits/transactions/export."""
    return await statement_export(visit, _filter(query))


async def statistics(visit: Visit, query: StatisticsQuery) -> StatisticsAnswer:
    """GET /api/credits/statistics."""
    found = await read_statistics(visit.connection, visit.access, query.days, visit.services.logs)
    return StatisticsAnswer(
        days=[
            DayAnswer(day=day.day, spent=credits_text(day.spent_micro), received=credits_text(day.received_micro))
            for day in found.days
        ],
        services=[_spender(one) for one in found.services],
        operations=[_spender(one) for one in found.operations],
        keys=[_spender(one) for one in found.keys],
    )


def _filter(query: FilterQuery) -> StatementFilter:
    return StatementFilter(query.type, query.since, query.until)


def _spender(one: Spender) -> SpenderAnswer:
    return SpenderAnswer(name=one.name, spent=credits_text(one.spent_micro), requests=one.requests)


def _entry(entry: LedgerEntry) -> EntryAnswer:
    return EntryAnswer(
        id=entry.id,
        number=entry.number,
        at=entry.created_at,
        type=entry.type.value,
        credits=credits_text(entry.amount_micro),
        balance_after=credits_text(entry.balance_after_micro),
        reason=entry.reason,
        reference=entry.reference,
        refund_of=entry.refund_of,
        requests=entry.requests,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/credits/balance",
        balance,
        "What credits there are, and how long they last",
        "credits",
        answer=BalanceAnswer,
        permission=Permission.BILLING_VIEW,
    ),
    Endpoint(
        "GET",
        "/credits/transactions",
        transactions,
        "List ledger entries, newest first",
        "credits",
        answer=ListPage[EntryAnswer],
        query=TransactionQuery,
        permission=Permission.BILLING_VIEW,
    ),
    Endpoint(
        "GET",
        "/credits/transactions/export",
        export,
        "Download ledger entries as CSV",
        "credits",
        query=FilterQuery,
        permission=Permission.BILLING_VIEW,
        connected=False,
        media_types=("text/csv",),
        also=(429,),
    ),
    Endpoint(
        "GET",
        "/credits/transactions/{entry_id:uuid}",
        transaction,
        "One ledger entry",
        "credits",
        answer=EntryAnswer,
        permission=Permission.BILLING_VIEW,
    ),
    Endpoint(
        "GET",
        "/credits/transactions/{entry_id:uuid}/requests",
        requests_of,
        "The newest requests that a usage entry stands for",
        "credits",
        answer=ListPage[ChargedRequest],
        permission=Permission.BILLING_VIEW,
        description="At most 200, as far as their logs are kept.",
    ),
    Endpoint(
        "GET",
        "/credits/statistics",
        statistics,
        "Credits spent and received by day, and what they went for",
        "credits",
        answer=StatisticsAnswer,
        query=StatisticsQuery,
        permission=Permission.BILLING_VIEW,
    ),
)

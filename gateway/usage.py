"""GET /user/usage: what a key's organization has used and has left. Costs nothing and counts against nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.credit_amounts import credits_text
from domain.credits.standing import Standing, read_standing
from domain.quota_breakdown import units_by_operation
from domain.quotas.costs import CREDITS, QUOTA, REQUESTS, applying
from domain.quotas.windows import WindowState
from domain.refusals import NoSubscription, OrganizationSuspended
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot
from domain.usage_reading import requests_today
from gateway.doors.plain import request_of
from gateway.policies.authenticate import key_of
from gateway.policies.check_access import subscribed


async def user_usage(request: Request) -> Response:
    """Organization, key, plan, each window, quota and spend cap, credits, and today's requests.

    What comes from the database is null while that is away.
    """
    services = request.app.state.services
    key = await key_of(services, request_of(request.scope))
    if key.organization_state != "active":
        raise OrganizationSuspended
    if not subscribed(key):
        raise NoSubscription
    plan = services.catalog.plan_of(key)
    now = datetime.now(UTC).replace(microsecond=0)
    found = list(zip(applying(key, plan), await services.limiter.peek(key, plan), strict=True))
    document = {
        "organization": {"id": str(key.organization_id), "slug": key.organization_slug},
        "key": {"id": str(key.id), "name": key.name, "prefix": key.prefix, "environment": key.environment},
        "plan": {"slug": plan.slug, "name": plan.name},
        "windows": [
            {**_counts(window), "resets_at": _reset(window, now), "shadow": window.shadow}
            for limit, window in found
            if limit.unit == REQUESTS
        ],
        "quotas": [
            await _quota(services.database, key, plan, limit, window, now)
            for limit, window in found
            if limit.unit == QUOTA
        ],
        "spend_caps": [_spend_cap(limit, window, now) for limit, window in found if limit.unit == CREDITS],
        "credits": _credits(await read_standing(services.database, key.organization_id)),
        "requests_today": await requests_today(services.database, key.organization_id, now.date()),
    }
    return JSONResponse(document, headers={"cache-control": "no-store"})


def _counts(window: WindowState) -> dict[str, Any]:
    return {"name": window.name, "limit": window.limit, "used": window.used, "remaining": window.remaining}


def _reset(window: WindowState, now: datetime) -> str:
    return (now + timedelta(seconds=window.reset_seconds)).isoformat()


async def _quota(
    database: Any, key: KeySnapshot, plan: PlanSnapshot, limit: LimitSnapshot, window: WindowState, now: datetime
) -> dict[str, Any]:
    operations = await units_by_operation(database, key, plan, limit, now)
    return {
        **_counts(window),
        "unit": "units",
        "resets_at": _reset(window, now),
        "by_operation": None
        if operations is None
        else [
            {"service": one.service, "operation": one.operation, "units": one.units, "requests": one.requests}
            for one in operations
        ],
    }


def _spend_cap(limit: LimitSnapshot, window: WindowState, now: datetime) -> dict[str, Any]:
    return {
        "scope": limit.scope,
        "period": limit.period,
        "cap": credits_text(limit.amount),
        "used": credits_text(window.used),
        "remaining": credits_text(window.remaining),
        "resets_at": _reset(window, now),
    }


def _credits(standing: Standing | None) -> dict[str, Any] | None:
    """Decimal texts, and how many requests have something reserved."""
    if standing is None:
        return None
    return {
        "balance": credits_text(standing.balance),
        "reserved": credits_text(standing.reserved),
        "available": credits_text(standing.available),
        "open_reservations": standing.reservations,
    }

"""GET /user/usage: what a key's organization has used and has left. Costs nothing and counts against nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.credit_amounts import credits_text
from domain.credits.standing import Standing, read_standing
from domain.refusals import NoSubscription, OrganizationSuspended
from domain.usage_reading import requests_today
from gateway.doors.plain import request_of
from gateway.policies.authenticate import key_of
from gateway.policies.check_access import subscribed


async def user_usage(request: Request) -> Response:
    """Organization, key, plan, each window, credits and today's requests (both null while the database is away)."""
    services = request.app.state.services
    key = await key_of(services, request_of(request.scope))
    if key.organization_state != "active":
        raise OrganizationSuspended
    if not subscribed(key):
        raise NoSubscription
    plan = services.catalog.plan_of(key)
    now = datetime.now(UTC).replace(microsecond=0)
    document = {
        "organization": {"id": str(key.organization_id), "slug": key.organization_slug},
        "key": {"id": str(key.id), "name": key.name, "prefix": key.prefix, "environment": key.environment},
        "plan": {"slug": plan.slug, "name": plan.name},
        "windows": [
            {
                "name": window.name,
                "limit": window.limit,
                "used": window.used,
                "remaining": window.remaining,
                "resets_at": (now + timedelta(seconds=window.reset_seconds)).isoformat(),
                "shadow": window.shadow,
            }
            for window in await services.limiter.peek(key, plan)
        ],
        "credits": _credits(await read_standing(services.database, key.organization_id)),
        "requests_today": await requests_today(services.database, key.organization_id, now.date()),
    }
    return JSONResponse(document, headers={"cache-control": "no-store"})


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

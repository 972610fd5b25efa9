"""What the product's own changes say to webhooks: one call for each kind, made where the change is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.credit_amounts import credits_text
from domain.key_records import KeyRecord
from domain.lifecycle import Subscription
from domain.webhooks.emitting import emit


async def key_created(connection: Any, key: KeyRecord) -> None:
    """Tell of a new API key."""
    await emit(connection, key.organization_id, "key.created", _key(key))


async def key_rotated(connection: Any, new: KeyRecord, old_id: UUID, old_expires_at: datetime | None) -> None:
    """Tell that `new` replaces the key `old_id`, which works until then."""
    data = {**_key(new), "replaces": str(old_id), "old_key_expires_at": old_expires_at}
    await emit(connection, new.organization_id, "key.rotated", data)


async def key_revoked(connection: Any, key: KeyRecord) -> None:
    """Tell that a key is refused from now on."""
    await emit(connection, key.organization_id, "key.revoked", {**_key(key), "reason": key.revoked_reason or ""})


async def member_joined(connection: Any, organization_id: UUID, *, user_id: int, email: str, role: str) -> None:
    """Tell that somebody became a member."""
    await emit(connection, organization_id, "member.joined", {"user_id": user_id, "email": email, "role": role})


async def member_removed(connection: Any, organization_id: UUID, *, user_id: int, email: str, role: str) -> None:
    """Tell that somebody is no longer a member; `role` is the one that they had."""
    await emit(connection, organization_id, "member.removed", {"user_id": user_id, "email": email, "role": role})


async def subscription_changed(connection: Any, subscription: Subscription) -> None:
    """Tell what the subscription is now."""
    plans = await connection.fetch(
        "select id, slug from plan where id = any($1::uuid[])", [subscription.plan_id, subscription.next_plan_id]
    )
    slugs = {row["id"]: row["slug"] for row in plans}
    data = {
        "plan": slugs.get(subscription.plan_id),
        "state": subscription.state,
        "next_plan": slugs.get(subscription.next_plan_id),
        "period_end": subscription.period_end,
        "cancel_at": subscription.cancel_at,
    }
    await emit(connection, subscription.organization_id, "subscription.changed", data)


async def credits_granted(
    connection: Any, organization_id: UUID, *, kind: str, amount_micro: int, expires_at: datetime | None
) -> None:
    """Tell that credits came: by purchase, bonus or adjustment."""
    data = {"kind": kind, "credits": credits_text(amount_micro), "expires_at": expires_at}
    await emit(connection, organization_id, "credits.granted", data)


async def job_ended(connection: Any, job: Any, status: str, reason: str, error: str, charged_micro: int) -> None:
    """Tell that a job was completed or failed; `job` is its row as it was before (`domain.async_jobs.ending`)."""
    data = {
        "id": str(job["id"]),
        "status": status,
        "reason": reason,
        "error": error,
        "service": job["service"],
        "operation": job["operation"],
        "request_id": str(job["request_id"]),
        "created_at": job["created_at"],
        "ended_at": job["now"],
        "charged": credits_text(charged_micro),
        "url": f"/user/jobs/{job['id']}",
    }
    await emit(connection, job["organization_id"], f"job.{status}", data)


async def usage_reached(connection: Any, organization_id: UUID, data: Mapping[str, Any], now: datetime) -> None:
    """Tell that a limit, quota or spend cap is used up to a level (`usage.threshold`)."""
    await emit(connection, organization_id, "usage.threshold", data, now=now)


async def credits_ran_low(
    connection: Any, organization_id: UUID, balance_micro: int, threshold_micro: int, now: datetime
) -> None:
    """Tell that the balance fell below the threshold."""
    data = {"balance": credits_text(balance_micro), "threshold": credits_text(threshold_micro)}
    await emit(connection, organization_id, "credits.low", data, now=now)


async def errors_reached(connection: Any, organization_id: UUID, data: Mapping[str, Any], now: datetime) -> None:
    """Tell that more requests fail than the organization wanted (`usage.errors`)."""
    await emit(connection, organization_id, "usage.errors", data, now=now)


async def cost_reached(connection: Any, organization_id: UUID, data: Mapping[str, Any], now: datetime) -> None:
    """Tell that a day costs more than the organization wanted (`usage.cost`)."""
    await emit(connection, organization_id, "usage.cost", data, now=now)


def _key(key: KeyRecord) -> Mapping[str, Any]:
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "environment": key.environment,
        "expires_at": key.expires_at,
    }

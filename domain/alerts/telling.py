"""What is said when a level is reached: mails and webhook events, as rows of the transaction that stores the level."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.alerts.measures import Measure
from domain.credit_amounts import credits_text
from domain.organizations import OrganizationRecord
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings
from domain.webhooks.announcing import cost_reached, credits_ran_low, errors_reached, usage_reached
from schema.messages import AlertKind

MOST_READERS = 100
MONEY_ROLES = ("owner", "billing")
FOR_EVERYBODY = (AlertKind.USAGE, AlertKind.USAGE_ERRORS)
"""Mailed to all members; the others are about money."""
_READERS = """
select u.email from membership m join users u on u.id = m.user_id
  left join user_preference p on p.user_id = u.id
 where m.organization_id = $1 and u.active and u.email_verified_at is not null and coalesce(p.notify_usage, true)
   and ($2::text[] is null or m.role = any($2))
 order by m.role <> 'owner', u.email limit $3
"""
_TEMPLATES = {
    AlertKind.USAGE: "usage_reached",
    AlertKind.SPEND_CAP: "spend_cap_reached",
    AlertKind.CREDITS_LOW: "credits_low",
    AlertKind.USAGE_ERRORS: "usage_errors",
    AlertKind.USAGE_COST: "usage_cost",
}
_UNITS = {"requests": "requests", "quota": "units"}


@dataclass(frozen=True, slots=True)
class Teller:
    """With what mails are sealed, and where their readers look further: URLs of portal and back office."""

    secrets: SecretSettings
    portal_url: str
    office_url: str


async def tell_customer(
    connection: Any,
    teller: Teller,
    organization: OrganizationRecord,
    one: Measure,
    level: int,
    now: datetime,
    *,
    by_mail: bool,
) -> int:
    """Queue the event and, where that is wanted, a mail to each member who is to have it; how many mails."""
    await _announce(connection, organization, one, level, now)
    if not by_mail:
        return 0
    roles = None if one.kind in FOR_EVERYBODY else list(MONEY_ROLES)
    readers = await connection.fetch(_READERS, organization.id, roles, MOST_READERS)
    root = f"{teller.portal_url}/o/{organization.slug}"
    values = {
        "organization": organization.name,
        "subscription_url": f"{root}/subscription",
        "credits_url": f"{root}/credits",
        "logs_url": f"{root}/logs?status=5xx",
        **_words(one, level),
    }
    for reader in readers:
        await post_mail(connection, teller.secrets, template=_TEMPLATES[one.kind], to=reader["email"], values=values)
    return len(readers)


async def _announce(connection: Any, organization: OrganizationRecord, one: Measure, level: int, now: datetime) -> None:
    match one.kind:
        case AlertKind.CREDITS_LOW:
            await credits_ran_low(connection, organization.id, one.value, one.threshold, now)
        case AlertKind.USAGE_ERRORS:
            data = {
                "failed": one.value,
                "requests": one.threshold,
                "percent": _share(one),
                "threshold": str(one.percent),
            }
            await errors_reached(connection, organization.id, data, now)
        case AlertKind.USAGE_COST:
            assert one.window is not None  # a day is counted
            data = {"day": f"{one.window.begins:%Y-%m-%d}", **_words(one, level)}
            await cost_reached(connection, organization.id, data, now)
        case _:
            await usage_reached(connection, organization.id, _event(one, level), now)


async def tell_operators(connection: Any, teller: Teller, to: str, one: Measure) -> int:
    """Queue the mail to the operators' address, if there is one; how many mails."""
    if not to:
        return 0
    what, figures = operator_words(one)
    values = {"what": what, "figures": figures, "office_url": teller.office_url}
    await post_mail(connection, teller.secrets, template="operator_alert", to=to, values=values)
    return 1


def operator_words(one: Measure) -> tuple[str, str]:
    """What happened, as a headline without a full stop, and the figures behind it as a sentence."""
    if one.kind == AlertKind.ERROR_RATE:
        return (
            f"{_share(one)} % of the requests to {one.name} fail",
            f"Of {one.threshold} requests of this and the last hour, {one.value} failed upstream.",
        )
    spent, threshold = credits_text(one.value), credits_text(one.threshold)
    return (
        f"{spent} credits were charged to {one.name} today",
        f"The alert is set to {threshold} credits in a UTC day.",
    )


def _share(one: Measure) -> str:
    """Percent of the requests that failed."""
    return f"{100 * one.value / one.threshold:.1f}".removesuffix(".0")


def _event(one: Measure, level: int) -> dict[str, Any]:
    """The data of `usage.threshold`."""
    assert one.window is not None  # usage is counted in windows
    money = one.unit == "credits"
    return {
        "measure": "spend_cap" if money else one.unit,
        "name": one.name,
        "service": one.service or None,
        "operation": one.operation or None,
        "period": one.window.period,
        "percent": level,
        "used": credits_text(one.value) if money else str(one.value),
        "limit": credits_text(one.threshold) if money else str(one.threshold),
        "resets_at": one.window.ends,
    }


def _words(one: Measure, level: int) -> dict[str, str]:
    """The values of the mail."""
    if one.kind == AlertKind.CREDITS_LOW:
        return {"balance": credits_text(one.value), "threshold": credits_text(one.threshold)}
    if one.kind == AlertKind.USAGE_COST:
        return {"spent": credits_text(one.value), "threshold": credits_text(one.threshold)}
    if one.kind == AlertKind.USAGE_ERRORS:
        figures = {"failed": str(one.value), "requests": str(one.threshold)}
        return {"share": _share(one), "threshold": str(one.percent), **figures}
    assert one.window is not None  # usage is counted in windows
    money = one.unit == "credits"
    return {
        "percent": str(level),
        "limit": one.name,
        "used": credits_text(one.value) if money else str(one.value),
        "amount": credits_text(one.threshold) if money else str(one.threshold),
        "unit": _UNITS.get(one.unit, "credits"),
        "period": one.window.period,
        "scope": f" on {one.operation or one.service}" if one.operation or one.service else "",
        "consequence": one.consequence,
        "end": f"{one.window.ends:%d %B %Y, %H:%M} UTC".lstrip("0"),
    }

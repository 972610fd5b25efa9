"""The subscription: the plan, how much of it is used, other plans, cancelling, spend caps."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.responses import Response

from domain import buying
from domain.access import Permission
from domain.buying import Standing
from domain.credit_amounts import credits_text
from domain.faults import Fault, InvalidValue
from domain.spend_caps import parse_cap
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.refusals import refusal_status
from portal.web.visit import Visit

PATH = "/o/{organization}/subscription"


@dataclass(frozen=True, kw_only=True)
class SubscriptionPage(Page):
    """`caps` is what stands in the fields: also what was refused."""

    template: ClassVar[str] = "subscription.html"
    root: str
    standing: Standing
    may_buy: bool
    caps: dict[str, str]


async def show(visit: Visit) -> Page:
    """Where the subscription stands."""
    return await _page(visit)


async def change(visit: Visit) -> Page | Response:
    """Go to another plan."""
    plan = str(visit.form.get("plan", ""))
    made = await _made(visit, lambda: buying.change_plan(visit.connection, visit.access, visit.actor, plan))
    if made is not None:
        return made
    standing = await buying.fetch_standing(visit.connection, visit.access)
    waits = standing.record is not None and standing.record.next_plan == plan
    return see_other(_root(visit), done="plan_will_change" if waits else "plan_changed")


async def keep(visit: Visit) -> Page | Response:
    """Take a pending change back."""
    made = await _made(visit, lambda: buying.keep_plan(visit.connection, visit.access, visit.actor))
    return made or see_other(_root(visit), done="plan_kept")


async def start_trial(visit: Visit) -> Page | Response:
    """Begin a trial."""
    plan, secrets = str(visit.form.get("plan", "")), visit.settings.secrets
    made = await _made(visit, lambda: buying.start_trial(visit.connection, visit.access, visit.actor, plan, secrets))
    return made or see_other(_root(visit), done="trial_begun")


async def cancel(visit: Visit) -> Page | Response:
    """End it with the period."""
    made = await _made(visit, lambda: buying.cancel(visit.connection, visit.access, visit.actor))
    return made or see_other(_root(visit), done="subscription_cancelled")


async def resume(visit: Visit) -> Page | Response:
    """Take the cancellation back."""
    made = await _made(visit, lambda: buying.resume(visit.connection, visit.access, visit.actor))
    return made or see_other(_root(visit), done="subscription_resumed")


async def set_caps(visit: Visit) -> Page | Response:
    """Set the spend caps; an empty field takes one off."""
    written = {period: str(visit.form.get(period, "")).strip() for period in ("day", "month")}

    async def work() -> object:
        caps = {period: _cap(text) for period, text in written.items()}
        return await buying.set_caps(visit.connection, visit.access, visit.actor, caps)

    made = await _made(visit, work, caps=written)
    return made or see_other(_root(visit), done="spend_caps_saved")


def _cap(text: str) -> int | None:
    if text == "none":
        raise InvalidValue("Leave the field empty for no cap.")
    return parse_cap(text.replace(",", "") or "none")


async def _made(
    visit: Visit, work: Callable[[], Awaitable[object]], *, caps: dict[str, str] | None = None
) -> Page | None:
    """Do it; the page that tells of a fault, None if there was none."""
    try:
        async with visit.change():
            await work()
    except Fault as fault:
        return await _page(visit, error=fault, caps=caps)
    return None


def _root(visit: Visit) -> str:
    return f"/o/{visit.access.slug}/subscription"


async def _page(visit: Visit, *, error: Fault | None = None, caps: dict[str, str] | None = None) -> Page:
    standing = await buying.fetch_standing(visit.connection, visit.access)
    organization = standing.organization
    present: dict[str, Any] = {"day": organization.spend_cap_day_micro, "month": organization.spend_cap_month_micro}
    return SubscriptionPage(
        title="Subscription",
        status=refusal_status(error) if error else 200,
        error=str(error or ""),
        root=_root(visit),
        standing=standing,
        may_buy=visit.access.may(Permission.BUY),
        caps=caps or {period: "" if micro is None else credits_text(micro) for period, micro in present.items()},
    )


PAGES = (
    PageRoute(PATH, show, permission=Permission.BILLING_VIEW),
    PageRoute(f"{PATH}/change", change, "POST", permission=Permission.BUY),
    PageRoute(f"{PATH}/keep", keep, "POST", permission=Permission.BUY),
    PageRoute(f"{PATH}/trial", start_trial, "POST", permission=Permission.BUY),
    PageRoute(f"{PATH}/cancel", cancel, "POST", permission=Permission.BUY),
    PageRoute(f"{PATH}/resume", resume, "POST", permission=Permission.BUY),
    PageRoute(f"{PATH}/spend-caps", set_caps, "POST", permission=Permission.BUY),
)

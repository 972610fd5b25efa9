"""An alert that an operator has seen: no mails of it for a time, or mails again."""

from datetime import UTC, datetime
from uuid import UUID

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Moment
from admin.actions.wording import utc
from admin.web.visit import Visit
from domain.alerts.reading import fetch_alert
from domain.alerts.snoozing import check_until, find_snoozable, snooze, wake
from domain.faults import Conflict
from domain.operators import Right

_LINKS = (("To the alerts", "/alerts"),)
_ALERT = Field("alert", "Alert", hint="Its id, from the page of alerts.", maxlength=36)


class Snooze(Values):
    """Which alert, and until when."""

    alert: UUID
    until: Moment


class Wake(Values):
    """Which alert."""

    alert: UUID


async def _preview_snooze(visit: Visit, values: Snooze) -> Preview:
    now = datetime.now(UTC)
    check_until(values.until, now)
    found = await find_snoozable(visit.connection, values.alert, now)
    return Preview(
        (
            f"No mail is written of {found.name} before {utc(values.until)}. It stands in the list all the same.",
            "If it is over and happens again meanwhile, and stands when that time has come, it is mailed then.",
        ),
        (("Snoozed until", utc(found.snoozed_until, none="not"), utc(values.until)),),
    )


async def _snooze(visit: Visit, values: Snooze, reason: str) -> Outcome:
    now = datetime.now(UTC)
    found = await snooze(visit.connection, visit.actor, values.alert, values.until, now, reason=reason)
    return Outcome(f"No mail is written of {found.name} before {utc(values.until)}.", _LINKS)


async def _preview_wake(visit: Visit, values: Wake) -> Preview:
    found = await fetch_alert(visit.connection, values.alert)
    if not found.snoozed(datetime.now(UTC)):
        raise Conflict("This alert is not snoozed.")
    return Preview(
        (f"Mails are written of {found.name} again. If it rose meanwhile and stands, the next look mails it.",),
        (("Snoozed until", utc(found.snoozed_until), "not"),),
    )


async def _wake(visit: Visit, values: Wake, reason: str) -> Outcome:
    found = await wake(visit.connection, visit.actor, values.alert, datetime.now(UTC), reason=reason)
    return Outcome(f"Mails are written of {found.name} again.", _LINKS)


ACTIONS = (
    Action(
        slug="snooze-alert",
        title="Snooze an alert",
        group="Running it",
        right=Right.RUN,
        summary="No mails of an alert that somebody sees to, until a time; it stays in the list.",
        model=Snooze,
        fields=(_ALERT, Field("until", "Until", "moment", hint="In UTC; at most 30 days from now.")),
        preview=_preview_snooze,
        carry_out=_snooze,
        button="Snooze it",
    ),
    Action(
        slug="wake-alert",
        title="End an alert's snooze",
        group="Running it",
        right=Right.RUN,
        summary="Mails of an alert again, before the time that was said.",
        model=Wake,
        fields=(_ALERT,),
        preview=_preview_wake,
        carry_out=_wake,
        button="Mail again",
    ),
)

"""Actions on customers' webhooks: an event sent again, and all that failed."""

from collections import Counter
from uuid import UUID

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Moment
from admin.actions.wording import counted, utc
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.operating import webhooks
from domain.operators import Right


class OneDelivery(Values):
    """Which delivery."""

    delivery: UUID


class AllFailed(Values):
    """Of which endpoint, since when."""

    endpoint: UUID
    since: Moment


async def _preview_one(visit: Visit, values: OneDelivery) -> Preview:
    delivery, endpoint = await webhooks.fetch_replayable(visit.connection, values.delivery)
    warnings = ()
    if delivery.state == "delivered":
        warnings = ("It was delivered: the receiver gets it twice, under the same event id.",)  # type: ignore[assignment]
    met = f"; the last attempt met: {delivery.last_error}" if delivery.last_error else ""
    return Preview(
        (
            f"The event {delivery.type} of {utc(delivery.created_at)} goes to {endpoint.url} of {endpoint.name} once more.",
            f"This delivery is {delivery.state} after {counted(delivery.attempts, 'attempt')}{met}.",
        ),
        (("Waiting deliveries of this event", "0", "1"),),
        warnings,
    )


async def _replay_one(visit: Visit, values: OneDelivery, reason: str) -> Outcome:
    _, endpoint = await webhooks.fetch_replayable(visit.connection, values.delivery)
    await webhooks.replay(visit.connection, visit.actor, values.delivery, reason=reason)
    return Outcome(f"The event is on its way to {endpoint.url}.", _links(endpoint))


async def _preview_all(visit: Visit, values: AllFailed) -> Preview:
    endpoint = await webhooks.fetch_endpoint(visit.connection, values.endpoint)
    events = await webhooks.failed_events(visit.connection, endpoint, values.since)
    if not events:
        raise Conflict(f"No event for {endpoint.url} is left that failed since {utc(values.since)}.")
    most = webhooks.MOST_AT_ONCE
    more = (f"At most {most:,} go at once: do it again for the rest.",) if len(events) == most else ()
    kinds = Counter(event.type for event in events)
    return Preview(
        (
            (
                f"{counted(len(events), 'event goes', 'events go')} to {endpoint.url} of {endpoint.name} once more,"
                f" from {utc(events[0].created_at)} to {utc(events[-1].created_at)}."
            ),
            "What came through later, or waits already, is not sent again.",
            *more,
        ),
        tuple((f"Waiting {kind}", "0", f"{count:,}") for kind, count in sorted(kinds.items())),
    )


async def _replay_all(visit: Visit, values: AllFailed, reason: str) -> Outcome:
    endpoint = await webhooks.fetch_endpoint(visit.connection, values.endpoint)
    count = await webhooks.replay_failed(visit.connection, visit.actor, values.endpoint, values.since, reason=reason)
    return Outcome(f"{counted(count, 'event is', 'events are')} on the way to {endpoint.url}.", _links(endpoint))


def _links(endpoint: webhooks.Endpoint) -> tuple[tuple[str, str], ...]:
    return ((f"To {endpoint.name}", f"/organizations/{endpoint.slug}"),)


ACTIONS = (
    Action(
        slug="replay-delivery",
        title="Replay a webhook delivery",
        group="Running it",
        right=Right.SUPPORT,
        summary="An event goes to its endpoint once more, under the same event id.",
        model=OneDelivery,
        fields=(Field("delivery", "Delivery's id", maxlength=36),),
        preview=_preview_one,
        carry_out=_replay_one,
        button="Replay",
    ),
    Action(
        slug="replay-failed-deliveries",
        title="Replay all failed deliveries",
        group="Running it",
        right=Right.SUPPORT,
        summary="All events that failed to reach an endpoint since a moment go to it once more.",
        model=AllFailed,
        fields=(
            Field("endpoint", "Endpoint's id", maxlength=36),
            Field("since", "Failed since", "moment", hint="In UTC."),
        ),
        preview=_preview_all,
        carry_out=_replay_all,
        button="Replay them",
    ),
)

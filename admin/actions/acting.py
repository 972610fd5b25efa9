"""Acting as a customer: a link of a minute into the portal, for a limited time, and noted for the customer to see."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.web.visit import Visit
from domain import audit
from domain.audit import Thing, Verb
from domain.faults import Conflict, InvalidValue
from domain.identity.acting_links import LIVES_SECONDS, ActingLink, browser_of, new_acting_link
from domain.operators import Right
from domain.organizations import OrganizationRecord, fetch_organization

PATH = "/acting/"


class Act(Values):
    """As whom, for how long, and whether only to look."""

    organization: Slug
    minutes: Annotated[int, Constraint(ge=1, le=480)] = 15
    may_change: Literal["yes", "no"] = "no"


async def _preview(visit: Visit, values: Act) -> Preview:
    found = await _checked(visit, values)
    changes = values.may_change == "yes"
    sentences = (
        f"You get a link into the portal that is good once, for {LIVES_SECONDS} seconds, in this browser.",
        f"With it you see what an owner of {found.name} sees, for {values.minutes} minutes, and nothing of another customer.",
        f"{found.name} sees in its audit that an operator acted for it, the reason, and all that was changed.",
    )
    warnings = (
        ("You may change things: keys, team, webhooks, plan. It counts as if the customer had done it.",)
        if changes
        else ()
    )
    return Preview(sentences, (("Rights", "none", "look and change" if changes else "look only"),), warnings)


async def _carry_out(visit: Visit, values: Act, reason: str) -> Outcome:
    found = await _checked(visit, values)
    link = ActingLink(
        operator_id=visit.operator.id,
        session_id=visit.here.session.id,
        organization_id=UUID(str(found.id)),
        minutes=values.minutes,
        may_change=values.may_change == "yes",
        reason=reason,
        browser=browser_of(visit.user_agent),
    )
    await audit.record(
        visit.connection,
        visit.actor,
        Verb.OPERATOR_ACT_ASK,
        Thing("organization", str(found.id), found.name),
        organization_id=found.id,
        after={"minutes": link.minutes, "may_change": link.may_change},
        reason=reason,
    )
    token = await new_acting_link(visit.services.redis, link)
    url = f"{visit.settings.portal.base_url}{PATH}{token}"
    return Outcome(
        f"The link is good once, for {LIVES_SECONDS} seconds.",
        ((f"Act as {found.name}", url), ("Back to the organization", f"/organizations/{found.slug}")),
    )


async def _checked(visit: Visit, values: Act) -> OrganizationRecord:
    """The organization. Raises NotFound, Forbidden, InvalidValue, Conflict."""
    if values.may_change == "yes":
        visit.operator.require(Right.CHANGE_AS_CUSTOMER)
    most = visit.settings.admin.acting_minutes
    if values.minutes > most:
        raise InvalidValue(f"At most {most} minutes at a time: ADMIN_ACTING_MINUTES.")
    found = await fetch_organization(visit.connection, values.organization)
    if found.state == "closed":
        raise Conflict(f"{found.name} is closed: nobody can open it in the portal.")
    return found


ACTIONS = (
    Action(
        slug="act-as-customer",
        title="Act as a customer",
        group="Customers",
        right=Right.SUPPORT,
        summary="See the portal as the customer sees it, for a limited time. They see in their audit that you did.",
        model=Act,
        fields=(
            ORGANIZATION,
            Field("minutes", "Minutes", "number", value="15", hint="It ends by itself and is never extended."),
            Field(
                "may_change",
                "May you change things there?",
                "choice",
                value="no",
                options=(("no", "No, only look"), ("yes", "Yes: admins and superusers only")),
            ),
        ),
        preview=_preview,
        carry_out=_carry_out,
        button="Get the link",
    ),
)

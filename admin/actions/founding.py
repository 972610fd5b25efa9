"""Creating an organization for a customer."""

from typing import Annotated

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Options, Outcome, Preview, Values
from admin.actions.kinds import Credits, Email
from admin.actions.wording import counted, credits_, to_organization
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.names import slug_from, valid_name, valid_slug
from domain.operating.founding import Founding, found_for
from domain.operating.giving import require_room
from domain.operating.people import find_person
from domain.operators import Right
from domain.plans import list_plans
from domain.price_list import limit_words, month_price
from domain.subscriptions import plan_for_sale


class NewOrganization(Values):
    """What it shall be."""

    name: Annotated[str, Constraint(min_length=1, max_length=120)]
    plan: Annotated[str, Constraint(min_length=1, max_length=63)]
    slug: Annotated[str, Constraint(max_length=63)] = ""
    owner: Email | None = None
    bonus: Credits = 0

    @property
    def wish(self) -> Founding:
        """The same for the domain."""
        return Founding(self.name, self.plan, self.slug or None, self.owner or "", self.bonus)


async def _preview(visit: Visit, values: NewOrganization) -> Preview:
    name = valid_name(values.name, "organization's name")
    await _may_give(visit, values)
    await plan_for_sale(visit.connection, values.plan)
    plan = next(each for each in await list_plans(visit.connection) if each.slug == values.plan)
    if values.slug:
        valid_slug(values.slug)
    slug = values.slug or slug_from(name)
    taken = await visit.connection.fetchval("select true from organization where slug = $1", slug)
    if taken and values.slug:
        raise Conflict(f"There is already an organization {slug}.")
    limits = "; ".join(limit_words(limit) for limit in plan.limits) or "no limits"
    price = month_price(plan.price_cents, plan.currency) if plan.price_cents else "nothing"
    sentences = [
        f"{name} begins on the plan {plan.name} ({limits}), which costs {price} a month.",
        await _owner_sentence(visit, values),
        f"It gets {credits_(values.bonus)} credits as a welcome." if values.bonus else "It begins without credits.",
    ]
    return Preview(
        tuple(sentences),
        (
            ("Organization", "none", f"{slug} with a number behind it" if taken else slug),
            ("Plan", "none", plan.slug),
            ("Credits", "0", credits_(values.bonus)),
        ),
    )


async def _owner_sentence(visit: Visit, values: NewOrganization) -> str:
    if values.owner is None:
        return "Nobody owns it yet: only operators reach it."
    owner = await find_person(visit.connection, values.owner)
    if owner is None:
        return f"{values.owner.lower()} gets an account with a link to choose a password, and owns it."
    owned = await visit.connection.fetchval(
        "select count(*) from membership where user_id = $1 and role = 'owner'", owner.id
    )
    said = "gets the confirmation once more" if owner.waits else "is told by mail"
    return f"{owner.email}, who owns {counted(owned, 'organization')} now, owns it and {said}."


async def _may_give(visit: Visit, values: NewOrganization) -> None:
    if values.bonus:
        visit.operator.require(Right.MONEY)
        await require_room(visit.connection, visit.actor, values.bonus, visit.settings.admin.given_credits_per_day)


async def _carry_out(visit: Visit, values: NewOrganization, reason: str) -> Outcome:
    await _may_give(visit, values)
    made = await found_for(visit.connection, visit.settings, visit.actor, values.wish, reason=reason)
    links = (*to_organization(made), ("Mint a key", f"/actions/mint-key?organization={made.slug}"))
    return Outcome(f"{made.name} is there, as {made.slug}.", links)


async def plan_options(visit: Visit) -> Options:
    """The plans that take subscriptions, lowest first."""
    return tuple(
        (plan.slug, f"{plan.name} ({plan.slug})") for plan in await list_plans(visit.connection) if plan.active
    )


async def every_plan(visit: Visit) -> Options:
    """All plans, lowest first, also those that are archived."""
    return tuple((plan.slug, f"{plan.name} ({plan.slug})") for plan in await list_plans(visit.connection))


ACTIONS = (
    Action(
        slug="create-organization",
        title="Create an organization",
        group="Customers",
        right=Right.SUPPORT,
        summary="A customer begins on a plan, with an owner who gets a mail, and perhaps with credits.",
        model=NewOrganization,
        fields=(
            Field("name", "Name", maxlength=120),
            Field("plan", "Plan", "choice", options=plan_options),
            Field("owner", "Owner's e-mail", required=False, maxlength=254, hint="Who is new here gets an account."),
            Field("bonus", "Credits to begin with", required=False, hint="Given once, as a bonus that never expires."),
            Field("slug", "Short name", required=False, maxlength=63, hint="For addresses. Made of the name if empty."),
        ),
        preview=_preview,
        carry_out=_carry_out,
        button="Create",
    ),
)

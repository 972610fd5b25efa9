"""The organizations of the caller, and one more."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from domain.access import Access
from domain.faults import Forbidden
from domain.sign_up import found
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, Label
from portal.web.admission import Audience
from portal.web.visit import Visit


class OrganizationItem(Answer):
    """An organization and what the caller is in it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"slug": "acme", "name": "Acme", "state": "active", "role": "owner"}]}
    )

    slug: str
    name: str
    state: str
    role: str


class OrganizationsAnswer(Answer):
    """All of them, by name; at most 200."""

    data: list[OrganizationItem]


class NewOrganization(Body):
    """What it is called."""

    name: Annotated[Label, Field(examples=["Acme"])]


def items(accesses: Sequence[Access]) -> list[OrganizationItem]:
    """The same for the API."""
    return [OrganizationItem.model_validate(access) for access in accesses]


async def show(visit: Visit) -> OrganizationsAnswer:
    """GET /api/organizations."""
    return OrganizationsAnswer(data=items(visit.accesses))


async def create(visit: Visit, body: NewOrganization) -> OrganizationItem:
    """POST /api/organizations."""
    if visit.token_name:
        raise Forbidden("An access token acts in the one organization that it was made for.")
    made = await found(visit.connection, visit.settings, visit.actor, name=body.name)
    return OrganizationItem(slug=made.slug, name=made.name, state=made.state, role="owner")


ENDPOINTS = (
    Endpoint(
        "GET",
        "/organizations",
        show,
        "Your organizations",
        "organization",
        answer=OrganizationsAnswer,
        audience=Audience.SIGNED_IN,
    ),
    Endpoint(
        "POST",
        "/organizations",
        create,
        "Create an organization",
        "organization",
        body=NewOrganization,
        answer=OrganizationItem,
        audience=Audience.SIGNED_IN,
        status=201,
        creates=True,
        description="On the plan that new organizations begin on. The sign-up bonus is given once for each mailbox.",
    ),
)

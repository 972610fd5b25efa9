"""The organization that a call is about."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.access import Access, Permission
from domain.identity.proof import require_fresh
from domain.organizations import OrganizationRecord, fetch_organization
from domain.tenants import close_organization, rename_organization
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, Label
from portal.web.visit import Visit


class OrganizationAnswer(Answer):
    """An organization and what the caller is in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "slug": "acme", "name": "Acme", "state": "active",
                    "plan": "pro", "role": "owner", "created_at": "2026-11-26T10:00:00Z",
                }
            ]
        }
    )  # fmt: skip

    id: UUID
    slug: str
    name: str
    state: str
    plan: str | None
    role: str
    created_at: datetime


class OrganizationChange(Body):
    """What may be changed of an organization."""

    name: Label


class Closing(Body):
    """The organization's slug once more, against a slip."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"confirmation": "acme"}]})

    confirmation: Annotated[str, Field(min_length=1, max_length=63)]


async def show(visit: Visit) -> OrganizationAnswer:
    """GET /api/organization."""
    return _answer(visit.access, await fetch_organization(visit.connection, visit.access.organization_id))


async def change(visit: Visit, body: OrganizationChange) -> OrganizationAnswer:
    """PATCH /api/organization."""
    return _answer(visit.access, await rename_organization(visit.connection, visit.access, visit.actor, body.name))


async def close(visit: Visit, body: Closing) -> None:
    """POST /api/organization/close."""
    require_fresh(visit.person, visit.settings.portal)
    await close_organization(visit.connection, visit.access, visit.actor, body.confirmation)


def _answer(access: Access, record: OrganizationRecord) -> OrganizationAnswer:
    return OrganizationAnswer(
        id=record.id,
        slug=record.slug,
        name=record.name,
        state=record.state,
        plan=record.plan_slug,
        role=access.role,
        created_at=record.created_at,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/organization",
        show,
        "The organization of this call",
        "organization",
        answer=OrganizationAnswer,
        permission=Permission.VIEW,
    ),
    Endpoint(
        "PATCH",
        "/organization",
        change,
        "Rename the organization",
        "organization",
        body=OrganizationChange,
        answer=OrganizationAnswer,
        permission=Permission.MANAGE,
    ),
    Endpoint(
        "POST",
        "/organization/close",
        close,
        "Close the organization for good",
        "organization",
        body=Closing,
        permission=Permission.OWN,
        description="Its keys are refused at once, its subscription and access tokens end. Needs a fresh proof.",
    ),
)

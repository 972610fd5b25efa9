"""The audit of the organization."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from domain.access import Permission
from domain.audit_reading import AuditFilter, AuditRecord, list_audit
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, ListPage, PageQuery, Query
from portal.web.audit_download import audit_file
from portal.web.visit import Visit

Group = Literal[
    "account", "token", "organization", "member", "key", "subscription", "spend_cap", "logs", "webhook"
]  # fmt: skip
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")
ActorId = Annotated[int, Field(ge=1, le=2_147_483_647, description="Only what this user did.")]


def _written_out(text: str) -> str:
    """The text, if it begins with a date: pydantic would also take a number as seconds since 1970."""
    if not _DATE.match(text):
        raise ValueError("Write a moment as 2026-11-26T10:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class AuditExportQuery(Query):
    """Which entries."""

    actor_id: ActorId | None = None
    group: Group | None = Field(default=None, description="Only verbs that begin with this.")
    since: Moment | None = Field(default=None, description="From this moment on.")
    until: Moment | None = Field(default=None, description="Before this moment.")


class AuditQuery(PageQuery):
    """Which entries, and which page of them."""

    actor_id: ActorId | None = None
    group: Group | None = Field(default=None, description="Only verbs that begin with this.")
    since: Moment | None = Field(default=None, description="From this moment on.")
    until: Moment | None = Field(default=None, description="Before this moment.")


class AuditAnswer(Answer):
    """One entry of the audit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "1d2c3b4a-5e6f-4708-9a1b-2c3d4e5f6071",
                    "created_at": "2026-11-26T10:00:00Z",
                    "actor_kind": "user",
                    "actor_id": 42,
                    "actor": "Ada Lovelace",
                    "actor_email": "ada@example.com",
                    "verb": "key.revoke",
                    "what": "revoked the API key Production",
                    "object_type": "api_key",
                    "object_id": "0d5b2f7e-3d52-4a0e-9c9c-1a5f6b0f4a11",
                    "object_name": "Production",
                    "object_exists": True,
                    "before": {},
                    "after": {"reason": "left the team"},
                    "reason": "",
                    "address": "198.51.100.7",
                    "request_id": "5a1c2b1e-6f0e-4d0a-9f0e-3f1d2c4b5a69",
                }
            ]
        }
    )

    id: UUID
    created_at: datetime
    actor_kind: str = Field(description="user, operator or system.")
    actor_id: int | None
    actor: str
    actor_email: str
    verb: str
    what: str = Field(description="What was done, in words.")
    object_type: str
    object_id: str
    object_name: str
    object_exists: bool = Field(description="Whether an API key, endpoint or delivery can still be opened.")
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    address: str
    request_id: str


async def index(visit: Visit, query: AuditQuery) -> ListPage[AuditAnswer]:
    """GET /api/audit."""
    records, following = await list_audit(
        visit.connection, visit.access, _filter(query), cursor=query.cursor, limit=query.limit
    )
    return ListPage[AuditAnswer](data=[_answer(record) for record in records], next_cursor=following)


async def export(visit: Visit, query: AuditExportQuery) -> Response:
    """GET /api/audit/export."""
    return audit_file(visit, _filter(query))


def _filter(query: AuditQuery | AuditExportQuery) -> AuditFilter:
    return AuditFilter(query.actor_id, query.group, query.since, query.until)


def _answer(record: AuditRecord) -> AuditAnswer:
    return AuditAnswer(
        id=record.id,
        created_at=record.created_at,
        actor_kind=record.actor_kind,
        actor_id=record.actor_id,
        actor=record.who,
        actor_email=record.actor_email,
        verb=record.verb,
        what=record.what,
        object_type=record.object_type,
        object_id=record.object_id,
        object_name=record.object_name,
        object_exists=record.exists,
        before=record.before,
        after=record.after,
        reason=record.reason,
        address=record.address,
        request_id=record.request_id,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/audit",
        index,
        "Who did what",
        "audit",
        query=AuditQuery,
        answer=ListPage[AuditAnswer],
        permission=Permission.AUDIT_VIEW,
    ),
    Endpoint(
        "GET",
        "/audit/export",
        export,
        "The audit as CSV",
        "audit",
        query=AuditExportQuery,
        permission=Permission.AUDIT_VIEW,
        connected=False,
        media_types=("text/csv",),
        also=(429,),
    ),
)

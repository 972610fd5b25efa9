"""API keys as JSON: what is sent and what is answered."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field

from domain.credit_amounts import credits_text, parse_credits
from domain.key_listing import KeyEntry
from domain.key_restrictions import MOST_NETWORKS, MOST_SCOPES
from domain.keys import REASON_LENGTH
from portal.api.models import WHOLE, Answer, Body, Label, PageQuery, Query

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXAMPLE: dict[str, Any] = {
    "id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "name": "Billing worker", "environment": "live", "state": "active",
    "prefix": "pe_live_4kQ2mZ8xTb", "last4": "9aXc", "scopes": ["weather:forecast"], "allowed_ips": ["203.0.113.0/24"],
    "expires_at": "2027-11-26T10:00:00Z", "spend_cap_day": "5", "spend_cap_month": None, "created_at": "2026-11-26T10:00:00Z",
    "created_by": "Ada Lovelace", "last_used_at": None, "revoked_at": None, "revoked_reason": None, "replaces": None,
    "replaced_by": None,
}  # fmt: skip


def _moment(value: Any) -> Any:
    """A moment as RFC 3339 writes it, and nothing else that could be read as one."""
    if value is None or (isinstance(value, str) and _MOMENT.fullmatch(value)):
        return value
    raise ValueError("write a moment with its zone, such as 2027-01-31T00:00:00Z")


Scope = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}(:[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,119})?$")]
Scopes = Annotated[
    list[Scope], Field(max_length=MOST_SCOPES, description="`service` or `service:operation`; none: all.")
]
Network = Annotated[str, Field(min_length=1, max_length=49, json_schema_extra={"format": "ip-network"})]
Networks = Annotated[list[Network], Field(max_length=MOST_NETWORKS, description="In CIDR form; none: from anywhere.")]
Expiry = Annotated[AwareDatetime | None, BeforeValidator(_moment), Field(description="Within ten years; null: never.")]
Cap = Annotated[
    str | None,
    Field(pattern=r"^(1000000000(\.0{1,6})?|[0-9]{1,9}(\.[0-9]{1,6})?)$", description="Credits, exact; null: no cap."),
]


class KeyQuery(PageQuery):
    """Which keys."""

    state: Annotated[Literal["active", "expired", "revoked"] | None, Field(description="Only in this state.")] = None
    search: Annotated[str | None, Field(max_length=120, description="Part of the name, or how the key begins.")] = None


class KeyCreation(Body):
    """A new key."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Billing worker", "scopes": [], "allowed_ips": ["203.0.113.0/24"], "spend_cap_day": "5"}
            ]
        }
    )

    name: Label
    environment: Literal["live", "test"] = "live"
    scopes: Scopes = Field(default_factory=list)
    allowed_ips: Networks = Field(default_factory=list)
    expires_at: Expiry = None
    spend_cap_day: Cap = None
    spend_cap_month: Cap = None


class KeyUpdate(Body):
    """What shall be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Billing worker 2", "spend_cap_day": None}]})

    name: Label | None = None
    scopes: Scopes | None = None
    allowed_ips: Networks | None = None
    expires_at: Expiry = None
    spend_cap_day: Cap = None
    spend_cap_month: Cap = None


class KeyRotation(Body):
    """For how long the old key still works."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86_400}]})

    overlap_seconds: Annotated[
        int, Field(ge=0, le=7_776_000, description="At most 90 days; 0: it stops now."), WHOLE
    ] = 86_400


class KeyRevocation(Query):
    """Why a key is revoked."""

    reason: Annotated[str, Field(max_length=REASON_LENGTH, description="Stands in the audit.")] = ""


class KeyAnswer(Answer):
    """A key, without the key."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    environment: Literal["live", "test"]
    state: Literal["active", "expired", "revoked"]
    prefix: str
    last4: str
    scopes: list[str]
    allowed_ips: list[str]
    expires_at: datetime | None
    spend_cap_day: str | None
    spend_cap_month: str | None
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None
    replaces: UUID | None
    replaced_by: UUID | None


class NewKeyAnswer(KeyAnswer):
    """A new key. `key` is shown this once; a repeat under the same Idempotency-Key gets null."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "key": "pe_live_4kQ2mZ8xTb_" + "0" * 34 + "9aXc"}]}
    )

    key: str | None

    def __repr__(self) -> str:
        return f"NewKeyAnswer({self.prefix}...)"


def facts_of(entry: KeyEntry) -> dict[str, Any]:
    """The members of a KeyAnswer."""
    key = entry.record
    named = ("id", "name", "environment", "state", "prefix", "last4", "expires_at", "created_at", "last_used_at")
    return {
        **{name: getattr(key, name) for name in (*named, "revoked_at", "revoked_reason")},
        "scopes": list(key.scopes),
        "allowed_ips": list(key.allowed_ips),
        "spend_cap_day": _text(key.spend_cap_day_micro),
        "spend_cap_month": _text(key.spend_cap_month_micro),
        "created_by": entry.made_by,
        "replaces": key.rotated_from,
        "replaced_by": entry.successor.id if entry.successor else None,
    }


def caps_of(body: KeyCreation | KeyUpdate) -> dict[str, int | None]:
    """Micro-credits by period, of the caps that the body names."""
    given = {"day": "spend_cap_day", "month": "spend_cap_month"}
    return {period: _micro(getattr(body, name)) for period, name in given.items() if name in body.model_fields_set}


def _text(micro: int | None) -> str | None:
    return None if micro is None else credits_text(micro)


def _micro(text: str | None) -> int | None:
    return None if text is None else parse_credits(text)

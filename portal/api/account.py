"""The caller's own account: name, address, password, proof, deletion. By a session only, never by an access token."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints
from starlette.responses import Response

from domain.identity.addresses import EMAIL_PATTERN, LONGEST_EMAIL
from domain.identity.deletion import keep_account, keep_by_link, request_deletion
from domain.identity.new_passwords import LONGEST, SHORTEST
from domain.identity.own_email import ask_to_change_email, cancel_email_change, confirm_email
from domain.identity.own_password import change_password
from domain.identity.profiles import change_name, fetch_profile
from domain.identity.proof import prove
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body
from portal.web.admission import Audience
from portal.web.forgery import form_token
from portal.web.own import give_session, no_token, own_session
from portal.web.visit import Visit

_EXAMPLE: dict[str, Any] = {
    "email": "ada@example.com", "email_verified": True, "name": "Ada", "created_at": "2026-11-26T10:00:00Z",
    "deletes_at": None, "has_password": True, "pending_email": None, "factor_since": None, "recovery_codes_left": 0,
}  # fmt: skip
_LINK = "b3PtZk0m8c4mHcV6ZQX3r1Yp0yZt9S2m5u7wQ1eRt2k"
LinkToken = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$"), Field(description="What stands in the mailed link.")
]


def _examples(*given: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(given)})


class AccountAnswer(Answer):
    """An account and the ways into it."""

    model_config = _examples(_EXAMPLE)

    email: str
    email_verified: bool
    name: str
    created_at: datetime
    deletes_at: datetime | None = Field(description="The account is deleted then, unless it is kept.")
    has_password: bool
    pending_email: str | None = Field(description="A new address that waits for its link to be opened.")
    factor_since: datetime | None = Field(description="Since when an authenticator is in force.")
    recovery_codes_left: int


class AccountChange(Body):
    """What may be changed at once."""

    model_config = _examples({"name": "Ada Lovelace"})

    name: Annotated[str, Field(max_length=120, description="Empty: none.")]


class EmailChange(Body):
    """The new address."""

    model_config = _examples({"email": "ada@example.org"})

    email: Annotated[str, StringConstraints(pattern=EMAIL_PATTERN, max_length=LONGEST_EMAIL)]


class LinkBody(Body):
    """The token of a mailed link."""

    model_config = _examples({"token": _LINK})

    token: LinkToken


class PasswordChange(Body):
    """`old` may be left out by who has no password yet."""

    model_config = _examples({"old": "correct horse battery", "new": "staple the battery"})

    old: Annotated[str, Field(max_length=1_000)] = ""
    new: Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]


class ProofBody(Body):
    """The password, and with an authenticator in force its code or a recovery code; who has no password shows the code alone."""

    model_config = _examples({"password": "correct horse battery"})

    password: Annotated[str, Field(max_length=1_000)] = ""
    code: Annotated[str, Field(max_length=40)] = ""


class RenewedAnswer(Answer):
    """The session goes on under a new cookie, and so with a new token for X-CSRF-Token."""

    model_config = _examples({"csrf": "9f2c...", "proven_until": "2026-11-26T10:15:00Z"})

    csrf: str
    proven_until: datetime = Field(description="Until then grave changes are possible.")


class SentAnswer(Answer):
    """A link is on its way. Whether the address is free is told to nobody."""

    model_config = _examples({"status": "sent", "pending_email": "ada@example.org"})

    status: str = "sent"
    pending_email: str


class DeletionAnswer(Answer):
    """When it happens."""

    model_config = _examples({"deletes_at": "2026-12-10T10:00:00Z"})

    deletes_at: datetime


async def show(visit: Visit) -> AccountAnswer:
    """GET /api/account."""
    return AccountAnswer.model_validate(await fetch_profile(visit.connection, own_session(visit).user_id))


async def change(visit: Visit, body: AccountChange) -> AccountAnswer:
    """PATCH /api/account."""
    await change_name(visit.connection, own_session(visit).user_id, visit.actor, body.name)
    return await show(visit)


async def change_email(visit: Visit, body: EmailChange) -> SentAnswer:
    """POST /api/account/email."""
    session, throttle = own_session(visit), visit.services.throttle
    await ask_to_change_email(visit.connection, throttle, visit.settings, session, visit.actor, body.email)
    return SentAnswer(pending_email=body.email.lower())


async def cancel_email(visit: Visit) -> None:
    """DELETE /api/account/email."""
    await cancel_email_change(visit.connection, own_session(visit).user_id, visit.actor)


async def confirm(visit: Visit, body: LinkBody) -> None:
    """POST /api/account/email/confirm."""
    no_token(visit)
    await confirm_email(visit.connection, visit.settings, body.token, visit.actor)


async def set_password(visit: Visit, body: PasswordChange) -> Response:
    """POST /api/account/password."""
    session, throttle = own_session(visit), visit.services.throttle
    token = await change_password(
        visit.connection, throttle, visit.settings, session, visit.actor, old=body.old, new=body.new
    )
    return renewed(visit, token.text)


async def prove_again(visit: Visit, body: ProofBody) -> Response:
    """POST /api/account/proof."""
    session, throttle = own_session(visit), visit.services.throttle
    token = await prove(
        visit.connection, throttle, visit.settings.secrets, session, visit.actor, password=body.password, code=body.code
    )
    return renewed(visit, token.text)


async def delete(visit: Visit) -> DeletionAnswer:
    """POST /api/account/deletion."""
    at = await request_deletion(visit.connection, visit.settings, own_session(visit), visit.actor)
    return DeletionAnswer(deletes_at=at)


async def keep(visit: Visit) -> None:
    """DELETE /api/account/deletion."""
    await keep_account(visit.connection, own_session(visit).user_id, visit.actor)


async def keep_with_link(visit: Visit, body: LinkBody) -> None:
    """POST /api/account/keep."""
    no_token(visit)
    await keep_by_link(visit.connection, body.token, visit.actor)


def renewed(visit: Visit, token: str) -> Response:
    """The answer that gives the browser its session's new cookie."""
    until = datetime.now(UTC) + timedelta(minutes=visit.settings.portal.proof_minutes)
    answer = RenewedAnswer(csrf=form_token(visit.settings.secrets, token), proven_until=until)
    response = Response(answer.model_dump_json(), media_type="application/json")
    give_session(visit, response, token)
    return response


_OWN, _ANYONE = Audience.SIGNED_IN, Audience.ANYONE
ENDPOINTS = (
    Endpoint("GET", "/account", show, "Your account", "account", answer=AccountAnswer, audience=_OWN),
    Endpoint("PATCH", "/account", change, "Change your name", "account", body=AccountChange, answer=AccountAnswer,
             audience=_OWN),
    Endpoint("POST", "/account/email", change_email, "Mail a link to a new address", "account", body=EmailChange,
             answer=SentAnswer, audience=_OWN, status=202, also=(429,)),
    Endpoint("DELETE", "/account/email", cancel_email, "Keep the address", "account", audience=_OWN),
    Endpoint("POST", "/account/email/confirm", confirm, "Take the new address, with the mailed link", "account",
             body=LinkBody, audience=_ANYONE, also=(401, 404)),
    Endpoint("POST", "/account/password", set_password, "Change your password", "account", body=PasswordChange,
             answer=RenewedAnswer, audience=_OWN, also=(429,)),
    Endpoint("POST", "/account/proof", prove_again, "Prove again who you are", "account", body=ProofBody,
             answer=RenewedAnswer, audience=_OWN, also=(429,)),
    Endpoint("POST", "/account/deletion", delete, "Delete your account, after days of grace", "account",
             answer=DeletionAnswer, audience=_OWN),
    Endpoint("DELETE", "/account/deletion", keep, "Keep your account", "account", audience=_OWN),
    Endpoint("POST", "/account/keep", keep_with_link, "Keep your account, with the mailed link", "account",
             body=LinkBody, audience=_ANYONE, also=(401, 404)),
)  # fmt: skip

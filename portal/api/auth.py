"""Signing up, in and out through the API: for browsers, by cookies. Programs show a personal access token instead.

Everything that changes something needs the token of GET /api/auth/session in X-CSRF-Token, also while nobody is signed
in: another site must not sign a browser in to an account of its own (case A4).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints
from starlette.responses import Response

from domain.access import organizations_of
from domain.identity.addresses import EMAIL_PATTERN, LONGEST_EMAIL
from domain.identity.links import LIVES, RESET, VERIFY
from domain.identity.new_passwords import LONGEST, SHORTEST
from domain.identity.resetting import checked_password
from domain.identity.signing_up import prove_mailbox
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, Label
from portal.api.organizations import OrganizationItem, items
from portal.web import doors
from portal.web.admission import Audience
from portal.web.cookies import SESSION, VISITOR, clear_cookie, read_cookie, set_cookie
from portal.web.forgery import form_token
from portal.web.signing_in import begin
from portal.web.visit import Visit

Email = Annotated[
    str, StringConstraints(pattern=EMAIL_PATTERN, max_length=LONGEST_EMAIL), Field(examples=["ada@example.com"])
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=SHORTEST, max_length=LONGEST),
    Field(
        examples=["correct horse battery"],
        description="Neither the address nor one of those that are tried first.",
        json_schema_extra={"format": "new-password"},
    ),
]
Password = Annotated[str, StringConstraints(max_length=1_000), Field(examples=["correct horse battery"])]
LinkToken = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$"),
    Field(description="What stands in the mailed link.", examples=["b3PtZk0m8c4mHcV6ZQX3r1Yp0yZt9S2m5u7wQ1eRt2k"]),
]


class SignUpBody(Body):
    """Who wants an account. Without `organization` none is founded."""

    email: Email
    password: NewPassword
    organization: Annotated[Label, Field(examples=["Acme"])] | None = None


class EmailBody(Body):
    """Whom it is about."""

    email: Email


class SignInBody(Body):
    """An address and its password."""

    email: Annotated[str, StringConstraints(max_length=1_000), Field(examples=["ada@example.com"])]
    password: Password


class VerifyBody(Body):
    """The mailed token, and the password that was chosen."""

    token: LinkToken
    password: Password


class ResetBody(Body):
    """The mailed token, and a new password."""

    token: LinkToken
    password: NewPassword
    revoke_tokens: Annotated[bool, Field(description="Revoke every access token of the person too.")] = True


class SentAnswer(Answer):
    """Whether a mail was sent is told to its mailbox only."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "sent", "good_for_seconds": 86400}]})

    status: str = "sent"
    good_for_seconds: int


class UserItem(Answer):
    """Who is signed in."""

    id: int
    email: str
    name: str


class SessionAnswer(Answer):
    """The browser's session. `csrf` goes into X-CSRF-Token of every change, `awaits_factor`: show the second factor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "signed_in": True, "awaits_factor": False, "csrf": "9f2c...",
                    "user": {"id": 7, "email": "ada@example.com", "name": "Ada"},
                    "organizations": [{"slug": "acme", "name": "Acme", "state": "active", "role": "owner"}],
                }
            ]
        }
    )  # fmt: skip

    signed_in: bool
    awaits_factor: bool = False
    csrf: str
    user: UserItem | None
    organizations: list[OrganizationItem]


async def show_session(visit: Visit) -> Response:
    """GET /api/auth/session."""
    session = visit.session
    user = UserItem(id=session.user_id, email=session.email, name=session.name) if session else None
    answer = SessionAnswer(
        signed_in=session is not None, csrf=visit.csrf, user=user, organizations=items(visit.accesses)
    )
    response = _json(answer)
    portal = visit.settings.portal
    if session is None and not read_cookie(visit.request, portal, VISITOR):
        set_cookie(response, portal, VISITOR, visit.visitor, seconds=None)
    return response


async def sign_up(visit: Visit, body: SignUpBody) -> SentAnswer:
    """POST /api/auth/sign-up."""
    await doors.sign_up(visit, body.email, body.password, body.organization or "")
    return _sent(VERIFY)


async def resend(visit: Visit, body: EmailBody) -> SentAnswer:
    """POST /api/auth/resend."""
    await doors.send_again(visit, body.email)
    return _sent(VERIFY)


async def verify(visit: Visit, body: VerifyBody) -> Response:
    """POST /api/auth/verify."""
    stored = await doors.check_confirmation(visit, body.token, body.password)
    async with doors.changing(visit):
        user_id = await prove_mailbox(visit.connection, visit.settings, body.token, stored, visit.actor)
        return await _begun(visit, user_id, "confirmed address")


async def sign_in(visit: Visit, body: SignInBody) -> Response:
    """POST /api/auth/sign-in."""
    user_id = await doors.sign_in(visit, body.email, body.password)
    async with doors.changing(visit):
        return await _begun(visit, user_id, "password")


async def sign_out(visit: Visit) -> Response:
    """POST /api/auth/sign-out."""
    await doors.sign_out(visit)
    response = Response(status_code=204)
    clear_cookie(response, visit.settings.portal, SESSION)
    return response


async def forgot(visit: Visit, body: EmailBody) -> SentAnswer:
    """POST /api/auth/forgot."""
    await doors.forgot(visit, body.email)
    return _sent(RESET)


async def reset(visit: Visit, body: ResetBody) -> Response:
    """POST /api/auth/reset."""
    password_hash = await checked_password(visit.services.database, body.token, body.password)
    async with doors.changing(visit):
        user_id = await doors.reset(visit, body.token, password_hash, end_tokens=body.revoke_tokens)
        return await _begun(visit, user_id, "reset password")


async def _begun(visit: Visit, user_id: int, how: str) -> Response:
    begun = await begin(visit, user_id, how=how)
    csrf = form_token(visit.settings.secrets, begun.token)
    if begun.awaits_factor:
        # Until the factor is shown nobody is signed in: forms are still tied to the visitor.
        answer = SessionAnswer(signed_in=False, awaits_factor=True, csrf=visit.csrf, user=None, organizations=[])
    else:
        row = await visit.connection.fetchrow("select id, email from users where id = $1", user_id)
        user = UserItem(id=row["id"], email=row["email"], name="")
        accesses = await organizations_of(visit.connection, user_id)
        answer = SessionAnswer(signed_in=True, csrf=csrf, user=user, organizations=items(accesses))
    response = _json(answer)
    begun.give(visit, response)
    return response


def _sent(purpose: str) -> SentAnswer:
    return SentAnswer(good_for_seconds=int(LIVES[purpose].total_seconds()))


def _json(answer: SessionAnswer) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


def _door(
    path: str,
    handler: Callable[..., Awaitable[Any]],
    summary: str,
    body: type[Body],
    answer: type[Answer],
    *,
    status: int = 200,
    also: tuple[int, ...] = (),
) -> Endpoint:
    return Endpoint(
        "POST",
        f"/auth/{path}",
        handler,
        summary,
        "auth",
        answer=answer,
        body=body,
        audience=Audience.ANYONE,
        status=status,
        connected=False,
        also=(401, 429, *also),
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/auth/session",
        show_session,
        "Who is signed in, and the token for changes",
        "auth",
        answer=SessionAnswer,
        audience=Audience.ANYONE,
        acting=True,
        also=(401,),
    ),
    _door("sign-up", sign_up, "Ask for an account", SignUpBody, SentAnswer, status=202),
    _door("resend", resend, "Mail the confirmation once more", EmailBody, SentAnswer, status=202),
    _door("verify", verify, "Confirm the address and sign in", VerifyBody, SessionAnswer, also=(404,)),
    _door("sign-in", sign_in, "Sign in with a password", SignInBody, SessionAnswer),
    _door("forgot", forgot, "Mail a link that sets a new password", EmailBody, SentAnswer, status=202),
    _door("reset", reset, "Set a new password and sign in", ResetBody, SessionAnswer, also=(404,)),
    Endpoint(
        "POST", "/auth/sign-out", sign_out, "Sign out", "auth", audience=Audience.ANYONE, acting=True, also=(401,)
    ),
)

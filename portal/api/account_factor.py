"""The caller's authenticator and its recovery codes, and the code that completes a sign-in."""

from typing import Annotated

from pydantic import ConfigDict, Field
from starlette.responses import Response

from domain.identity.authenticators import begin_factor, confirm_factor, disable_factor, renew_codes
from domain.identity.proof import WrongProof
from domain.identity.second_step import SpentSession, end_waiting, waiting_session
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body
from portal.web.admission import Audience
from portal.web.failures import problem
from portal.web.forgery import form_token
from portal.web.own import no_token, proven_session
from portal.web.second_step import note_wrong, take
from portal.web.signing_in import begin as begin_session
from portal.web.visit import Visit


class FactorAnswer(Answer):
    """A secret for an authenticator app, not in force before its first code."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "secret": "JBSWY3DPEHPK3PXP",
                    "uri": "otpauth://totp/...",
                    "qr_svg": "<svg ...>",
                    "digits": 6,
                    "period": 30,
                }
            ]
        }
    )

    secret: str
    uri: str
    qr_svg: str
    digits: int = 6
    period: int = 30


class CodeBody(Body):
    """A code of the authenticator; at sign-in also a recovery code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123456"}]})

    code: Annotated[str, Field(max_length=40)]


class CodesAnswer(Answer):
    """Recovery codes, this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recovery_codes": ["abcde-fghjk-mnpqr"]}]})

    recovery_codes: list[str]


class SignedInAnswer(Answer):
    """The sign-in is complete: the cookie is a new one, and `csrf` goes with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"signed_in": True, "csrf": "9f2c..."}]})

    signed_in: bool = True
    csrf: str


async def begin(visit: Visit) -> FactorAnswer:
    """POST /api/account/factor."""
    session, settings = proven_session(visit), visit.settings
    made = await begin_factor(
        visit.connection, settings.secrets, session.user_id, session.email, settings.portal.name, visit.actor
    )
    return FactorAnswer(secret=made.secret, uri=made.uri, qr_svg=made.qr)


async def confirm(visit: Visit, body: CodeBody) -> CodesAnswer:
    """POST /api/account/factor/confirm."""
    session = proven_session(visit)
    codes = await confirm_factor(visit.connection, visit.settings.secrets, session, visit.actor, body.code)
    return CodesAnswer(recovery_codes=codes)


async def disable(visit: Visit) -> None:
    """DELETE /api/account/factor."""
    await disable_factor(visit.connection, visit.settings.secrets, proven_session(visit).user_id, visit.actor)


async def renew(visit: Visit) -> CodesAnswer:
    """POST /api/account/factor/recovery-codes."""
    codes = await renew_codes(visit.connection, proven_session(visit).user_id, visit.actor)
    return CodesAnswer(recovery_codes=codes)


async def finish(visit: Visit, body: CodeBody) -> Response:
    """POST /api/auth/factor."""
    no_token(visit)
    waiting = await waiting_session(visit.connection, visit.session_token)
    try:
        async with visit.change():
            how = await take(visit, waiting, body.code)
    except SpentSession as fault:
        # Answered and not raised: what is raised would undo the end of the session.
        await end_waiting(visit.connection, waiting)
        return problem(visit.request, fault)
    except WrongProof as fault:
        await note_wrong(visit, waiting)
        return problem(visit.request, fault)
    begun = await begin_session(visit, waiting.user_id, how=how, factor_shown=True)
    answer = SignedInAnswer(csrf=form_token(visit.settings.secrets, begun.token))
    response = Response(answer.model_dump_json(), media_type="application/json")
    begun.give(visit, response)
    return response


_OWN = Audience.SIGNED_IN
ENDPOINTS = (
    Endpoint("POST", "/account/factor", begin, "Begin to set up an authenticator", "account", answer=FactorAnswer,
             audience=_OWN),
    Endpoint("POST", "/account/factor/confirm", confirm, "Put it in force by its first code", "account",
             body=CodeBody, answer=CodesAnswer, audience=_OWN),
    Endpoint("DELETE", "/account/factor", disable, "Switch the authenticator off", "account", audience=_OWN),
    Endpoint("POST", "/account/factor/recovery-codes", renew, "New recovery codes in the place of the old", "account",
             answer=CodesAnswer, audience=_OWN),
    Endpoint("POST", "/auth/factor", finish, "Complete a sign-in with a code", "auth", body=CodeBody,
             answer=SignedInAnswer, audience=Audience.ANYONE, also=(401, 429)),
)  # fmt: skip

"""What went wrong, as a page or as a problem document: which status a fault has, and what may be said of it (case A15)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import asyncpg
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from domain import faults
from domain.identity.fetching import Unanswered
from domain.sealing import Unreadable
from portal.web.layout import Page
from portal.web.measures import note_refusal
from portal.web.rendering import render
from portal.web.visit import Visit

log = logging.getLogger("paid_endpoint.portal")

STATUS: Mapping[type[faults.Fault], int] = {
    faults.NotSignedIn: 401,
    faults.ProofNeeded: 403,
    faults.Forbidden: 403,
    faults.NotFound: 404,
    faults.Conflict: 409,
    faults.ChangedMeanwhile: 412,
    faults.InvalidValue: 422,
    faults.VersionNeeded: 428,
    faults.TooManyTries: 429,
    faults.Unavailable: 503,
    faults.DatabaseUnreachable: 503,
    Unanswered: 503,
    Unreadable: 503,
}
TITLES = {
    400: "Bad request", 401: "Sign in first", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    406: "Not acceptable", 408: "Too slow", 409: "Conflict", 412: "Changed meanwhile", 413: "Too large", 415: "Unsupported media type",
    421: "Wrong host", 422: "Not valid", 428: "Precondition required", 429: "Too many tries", 500: "Our fault", 503: "Not available now",
}  # fmt: skip
_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    408: "This did not arrive within half a minute, so nothing was done.",
    413: "This is larger than the most that is taken here: 256 kB of a form, 1 MB of JSON.",
    415: "Send JSON as application/json to the API, and forms to pages as application/x-www-form-urlencoded.",
}
_COLLIDED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
)


@dataclass(frozen=True, kw_only=True)
class FailurePage(Page):
    """Says what happened and what to do."""

    template: ClassVar[str] = "failure.html"
    detail: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault as it is told: status, code for programs, sentence for people, more members of the problem document."""

    status: int
    code: str
    detail: str
    extra: Mapping[str, Any]
    headers: Mapping[str, str]


def failure_of(fault: Exception) -> Failure | None:
    """How a fault is told; None for one that nobody foresaw. The request that it is told of counts as refused by its code."""
    failure = _failure_of(fault)
    if failure is not None:
        note_refusal(failure.code)
    return failure


def _failure_of(fault: Exception) -> Failure | None:
    if isinstance(fault, faults.TooManyTries):
        seconds = fault.retry_after_seconds
        return Failure(429, fault.code, str(fault), {"retry_after_seconds": seconds}, {"retry-after": str(seconds)})
    if isinstance(fault, faults.Fault):
        status = next((STATUS[kind] for kind in type(fault).__mro__ if kind in STATUS), 422)
        return Failure(status, fault.code, str(fault), {}, {})
    if isinstance(fault, ValidationError):
        return Failure(422, "invalid_value", "Some values are not valid.", {"errors": field_errors(fault)}, {})
    if isinstance(fault, HTTPException):
        title = TITLES.get(fault.status_code, "Error")
        detail = _DETAILS.get(fault.status_code, f"{title}.")
        return Failure(fault.status_code, title.lower().replace(" ", "_"), detail, {}, dict(fault.headers or {}))
    return _of_the_database(fault)


def _of_the_database(fault: Exception) -> Failure | None:
    if isinstance(fault, _COLLIDED):
        text = "Somebody changed the same at this moment. Nothing was done; try again."
        return Failure(503, "unavailable", text, {}, {"retry-after": "1"})
    if isinstance(fault, _AWAY):
        return Failure(503, "unavailable", "The database cannot be reached. Try again soon.", {}, {"retry-after": "5"})
    if isinstance(fault, asyncpg.CharacterNotInRepertoireError):
        return Failure(422, "invalid_value", "A text holds a character that cannot be kept.", {}, {})
    return None


def status_of(fault: faults.Fault) -> int:
    """The status of a page that tells of the fault itself."""
    failure = failure_of(fault)
    return failure.status if failure else 422


def field_errors(fault: ValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and why, without what was given: it may be a secret."""
    return [
        {"field": ".".join(map(str, error["loc"])), "message": _sentence(error["msg"])}
        for error in fault.errors(include_url=False, include_context=False, include_input=False)
    ]


async def page_of_fault(visit: Visit, fault: Exception) -> Response:
    """The page that tells of a fault; who is not signed in goes to sign in, whose proof is too old to prove again."""
    back = quote(visit.request.url.path, safe="/") if visit.request.method == "GET" else ""
    if isinstance(fault, (faults.NotSignedIn, faults.ProofNeeded)):
        note_refusal(fault.code)
    if isinstance(fault, faults.NotSignedIn):
        return RedirectResponse(f"/sign-in?next={back}" if back else "/sign-in", status_code=303)
    if isinstance(fault, faults.ProofNeeded):
        return RedirectResponse(f"/prove?next={back}" if back else "/prove", status_code=303)
    failure = noted(fault, visit.request)
    page = FailurePage(
        title=TITLES.get(failure.status, "Error"),
        status=failure.status,
        detail=failure.detail,
        request_id=visit.request_id,
    )
    response = render(visit, page)
    response.headers.update(failure.headers)
    return response


def problem(request: Request, fault: Exception) -> Response:
    """RFC 9457 of a fault, for the API."""
    failure = noted(fault, request)
    document = {
        "type": "about:blank",
        "title": TITLES.get(failure.status, "Error"),
        "status": failure.status,
        "detail": failure.detail,
        "code": failure.code,
        "request_id": request.state.request_id,
        **failure.extra,
    }
    headers = dict(failure.headers)
    if failure.status == 401:
        headers["www-authenticate"] = 'Bearer realm="paid-endpoint portal"'
    return JSONResponse(document, failure.status, headers, media_type="application/problem+json")


def noted(fault: Exception, request: Request) -> Failure:
    """How a fault is told; one that nobody foresaw goes to the log."""
    failure = failure_of(fault)
    if failure is None:
        log.error("request %s failed", request.state.request_id, exc_info=fault)
        note_refusal("internal_fault")
        return Failure(
            500, "internal_fault", "This went wrong on our side. Tell us the request id if it stays.", {}, {}
        )
    return failure


async def _answer(request: Request, fault: Exception) -> Response:
    """What the router itself raises: no such route, wrong method, too large."""
    if request.url.path.startswith("/api/"):
        return problem(request, fault)
    return await page_of_fault(Visit(request, request.app.state.services), fault)


EXCEPTION_HANDLERS: Mapping[Any, Any] = {HTTPException: _answer, faults.Fault: _answer}


def _sentence(text: str) -> str:
    sentence = text.removeprefix("Value error, ")
    return sentence if sentence.endswith(".") else f"{sentence[:1].upper()}{sentence[1:]}."

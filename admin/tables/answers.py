"""Answers to piccolo-admin's page, which shows a text of an answer that failed as it is: so that is a sentence."""

import asyncpg
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from admin.tables.questions import BadQuestion
from domain.faults import Conflict, Fault, InvalidValue
from portal.web.failures import field_errors, noted
from portal.web.forgery import SAFE_METHODS

_TOO_SLOW = "This took longer than two seconds, so it was given up. Filter by an id or an organization."


def told(fault: Exception, request: Request) -> Response:
    """The sentence of a fault as JSON, under its status."""
    if isinstance(fault, asyncpg.DataError) and request.method in SAFE_METHODS:
        fault = BadQuestion("A value that was asked for fits no column of its kind.")
    if isinstance(fault, BadQuestion):
        return JSONResponse(str(fault), 400)
    if isinstance(fault, TimeoutError | asyncpg.QueryCanceledError):
        return JSONResponse(_TOO_SLOW, 503, {"retry-after": "5"})
    if isinstance(fault, ValidationError):
        first = field_errors(fault)[0]
        return JSONResponse(f"{first['field']}: {first['message']}", 422)
    failure = noted(_as_ours(fault), request)
    return JSONResponse(failure.detail, failure.status, dict(failure.headers))


def _as_ours(fault: Exception) -> Exception:
    """What PostgreSQL refused, as the domain would say it; anything else as it is."""
    if isinstance(fault, Fault):
        return fault
    if isinstance(fault, asyncpg.UniqueViolationError):
        return Conflict("There is a row with these values already.")
    if isinstance(fault, asyncpg.ForeignKeyViolationError):
        return Conflict("A row that this one names is not there, or others name this one.")
    if isinstance(fault, asyncpg.CheckViolationError | asyncpg.NotNullViolationError):
        rule = getattr(fault, "constraint_name", None) or getattr(fault, "column_name", None) or "a rule"
        return InvalidValue(f"The values break {rule}, so nothing was done.")
    if isinstance(fault, asyncpg.DataError):
        return InvalidValue("A value does not fit its column, so nothing was done.")
    return fault

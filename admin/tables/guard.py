"""In front of piccolo-admin: who asks, whether they may, what exactly; then Piccolo reads, and the domain writes.

A raw ASGI application, mounted at /tables/. piccolo-admin behind it sees our questions only: by GET, in a read-only
transaction, with a session that we looked up. Its own sign-in, passwords, media, factors and API pages are closed.
"""

import json
from html import escape
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from admin.tables import counting, questions
from admin.tables.answers import told
from admin.tables.page import page
from admin.tables.panel import panel
from admin.tables.permissions import PERMISSIONS, WRITES, Verb, may_look, require_verb
from admin.tables.relay import ask, reading
from admin.tables.shown import BY_NAME, TABLES, Shown
from admin.tables.targets import Kind, Target, target_of
from admin.tables.writing import write
from admin.web.admission import Audience, recognise, require, working
from admin.web.cookies import SESSION
from admin.web.failures import FactorNeeded
from admin.web.layout import NAVIGATION
from admin.web.visit import Visit
from domain import audit
from domain.csv_texts import safe_cell
from domain.faults import Forbidden, NotFound, NotSignedIn
from domain.identity.sessions import end_session
from domain.operators import Right
from portal.web.bodies import read_body
from portal.web.cookies import clear_cookie
from portal.web.failures import noted
from portal.web.forgery import SAFE_METHODS, require_form_token, require_same_site

LARGEST_BODY = 1_048_576
HEADER = "x-csrftoken"
"""In which piccolo-admin's script sends the token of its cookie."""
_YEAR = b"private, max-age=31536000, immutable"
_CLOSED = "This part of piccolo-admin is closed: sign in, passwords and second factors are pages of the back office."

_ELSEWHERE = {
    "request_log": "PostgreSQL's last days only: older requests are in the log store, and the page Requests finds them all.",
}
"""Of tables whose older rows leave PostgreSQL where LOG_STORE_URL is set."""


class Tables:
    """The application below /tables/."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every fault becomes a sentence, or the way to sign in."""
        request = Request(scope, receive)
        visit = Visit(request, request.app.state.services)
        target = target_of(request.method, _path(scope))
        answer: ASGIApp
        try:
            answer = await _answer(visit, target)
        except Exception as fault:  # noqa: BLE001  a boundary: every fault becomes an answer
            answer = _told(visit, target, fault)
        await answer(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).lstrip("/")


async def _answer(visit: Visit, target: Target) -> ASGIApp:
    changes = visit.request.method not in SAFE_METHODS
    if changes:
        require_same_site(visit.request, visit.settings.admin)
        await read_body(visit.request, most=LARGEST_BODY)  # before anybody is looked up: it may take its time
    await recognise(visit)
    if changes:
        require_form_token(visit.settings.secrets, visit.tied_to, visit.request.headers.get(HEADER, ""))
    if target.kind is Kind.SIGN_OUT:
        return await _sign_out(visit)
    require(visit, Audience.OPERATOR, Right.LOOK)
    match target.kind:
        case Kind.PAGE:
            return page(visit)
        case Kind.ASSET:
            return _kept(panel())
        case Kind.ROWS:
            return await _rows(visit, target)
        case Kind.MENU | Kind.GROUPED_MENU | Kind.LINKS:
            return JSONResponse(_menu(visit, target.kind))
        case Kind.OPEN:
            async with reading(visit):
                return await ask(visit)
        case _:
            raise NotFound(_CLOSED)


async def _rows(visit: Visit, target: Target) -> Response:
    require_verb(visit.operator, target.table, target.verb)
    if target.verb in WRITES:
        return await write(visit, target)
    shown, given = BY_NAME[target.table], visit.request.query_params.multi_items()
    match target.verb:
        case Verb.SCHEMA:
            async with reading(visit):
                return _schema(visit, shown, await ask(visit))
        case Verb.REFERENCES:
            return JSONResponse({"references": _references(visit, shown)})
        case Verb.COUNT:
            pairs = questions.of_rows(shown, given, paged=False)
            async with reading(visit) as connection:
                return JSONResponse(await counting.count(connection, shown, pairs))
        case Verb.LIST:
            asked = questions.of_rows(shown, given)
        case Verb.IDS:
            asked = questions.of_ids(shown, given)
        case Verb.GET:
            questions.row_id(shown, target.row)
            asked = questions.of_row(shown, given)
        case _:
            asked = []
    async with reading(visit):
        answer = await ask(visit, questions.written(asked))
    return _for_spreadsheets(answer) if questions.for_csv(asked) else answer


def _for_spreadsheets(answer: Response) -> Response:
    """Rows that piccolo-admin's script makes CSV of, in which no text is left that a spreadsheet would calculate."""
    rows = json.loads(bytes(answer.body))["rows"]
    return JSONResponse({"rows": [{name: safe_cell(value) for name, value in row.items()} for row in rows]})


def _schema(visit: Visit, shown: Shown, answer: Response) -> Response:
    """Piccolo's description of the table without what is never served, and with how a large one is filtered."""
    schema: dict[str, Any] = json.loads(bytes(answer.body))
    schema["properties"] = {name: value for name, value in schema["properties"].items() if name in shown.served}
    schema["required"] = [name for name in schema.get("required", ()) if name in shown.served]
    schema["extra"]["visible_fields_options"] = list(shown.served)
    schema["extra"]["help_text"] = _help(visit, shown)
    return JSONResponse(schema)


def _help(visit: Visit, shown: Shown) -> str:
    """What stands beside the table's name: what a row is, how a large table is asked, where older rows are, who may write it
    by hand.
    """
    parts = [" ".join((shown.table.__doc__ or "").split())]
    if shown.large:
        parts.append("A large table: filters compare whole values, and the number of rows is an estimate.")
    if visit.settings.logs.store_url.get_secret_value():
        parts.append(_ELSEWHERE.get(shown.name, ""))
    access = PERMISSIONS[shown.name]
    if access.change is None or not visit.operator.may(access.change):
        parts.append(f"You can look here, and change nothing. {access.instead}")
    return " ".join(filter(None, parts))


def _references(visit: Visit, shown: Shown) -> list[dict[str, str]]:
    """The tables that name this one, as far as the operator may see them and they can be filtered by it."""
    columns = shown.table._meta.foreign_key_references  # noqa: SLF001
    named = [(column._meta.table._meta.tablename, column._meta.name) for column in columns]  # noqa: SLF001
    return [
        {"tableName": table, "columnName": column}
        for table, column in named
        if may_look(visit.operator, table) and column in BY_NAME[table].filterable
    ]


def _menu(visit: Visit, kind: Kind) -> Any:
    """What the menu shows to this operator: tables, tables by group, or the pages beside them."""
    if kind is Kind.LINKS:
        items = [item for _, group in NAVIGATION for item in group if visit.may(item.right)]
        return {item.label: item.path for item in items if item.path != "/tables/"}
    mine = [shown for shown in TABLES if may_look(visit.operator, shown.name)]
    if kind is Kind.MENU:
        return [shown.name for shown in mine]
    groups: dict[str, list[str]] = {}
    for shown in mine:
        groups.setdefault(shown.group, []).append(shown.name)
    return {"grouped": groups, "ungrouped": []}


async def _sign_out(visit: Visit) -> Response:
    """End the session, as /sign-out does."""
    async with working(visit, changes=True):
        if visit.signed_in is not None:
            await end_session(visit.connection, visit.session_token)
            thing = audit.Thing("user", str(visit.operator.id), visit.operator.email)
            await audit.record(visit.connection, visit.actor, audit.Verb.ACCOUNT_SIGN_OUT, thing)
    response = JSONResponse("You are signed out.")
    clear_cookie(response, visit.settings.admin, SESSION)
    return response


def _told(visit: Visit, target: Target, fault: Exception) -> Response:
    opens = target.kind is Kind.PAGE and visit.request.method in SAFE_METHODS
    if opens and isinstance(fault, NotSignedIn):
        return RedirectResponse(f"/sign-in?next={quote('/tables/', safe='/')}", status_code=303)
    if opens and isinstance(fault, FactorNeeded):
        return RedirectResponse("/account", status_code=303)
    if opens:
        failure = noted(fault, visit.request)  # never the fault's own words: it may say where the database is
        return HTMLResponse(f"<p>{escape(failure.detail)}</p>", failure.status, dict(failure.headers))
    if target.verb is Verb.REPLACE and isinstance(fault, Forbidden):
        return JSONResponse({"detail": str(fault)}, 405, {"allow": "GET, POST, PATCH, DELETE"})
    return told(fault, visit.request)


def _kept(app: ASGIApp) -> ASGIApp:
    """Files whose names change with what is in them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def kept(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message["headers"] = [*message["headers"], (b"cache-control", _YEAR)]
            await send(message)

        await app(dict(scope), receive, kept)

    return answer

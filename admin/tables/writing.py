"""Writing one row by hand: in one transaction with its audit entry, by the domain's command. piccolo-admin has no part in it."""

import json
from typing import Any

from piccolo.columns import JSON, JSONB
from starlette.responses import JSONResponse, Response

from admin.tables.editors.editor import Editor, Row
from admin.tables.editors.table import EDITORS
from admin.tables.permissions import Verb
from admin.tables.questions import row_id
from admin.tables.reasons import reason_of
from admin.tables.relay import STATEMENT_MS
from admin.tables.shown import BY_NAME, Shown
from admin.tables.targets import Target
from admin.tables.values import changes_of, values_of
from admin.web.admission import accounted, working
from admin.web.visit import Visit
from domain import audit
from domain.faults import InvalidValue, NotFound
from domain.stored_json import stored_json

LONGEST_ID = 100


async def write(visit: Visit, target: Target) -> Response:
    """Carry out CREATE, CHANGE or DELETE, which the operator may. Raises domain faults, after which nothing was done."""
    shown, editor = BY_NAME[target.table], EDITORS[target.table]
    reason_of(visit.request)  # one that cannot be written is told before anything is locked
    given = None if target.verb is Verb.DELETE else await _body(visit)
    async with working(visit, changes=True):
        await visit.connection.execute(f"set local statement_timeout = {5 * STATEMENT_MS}")
        if target.verb is Verb.CREATE:
            return await _create(visit, shown, editor, given)
        row = await _locked(visit.connection, shown, editor, row_id(shown, target.row[:LONGEST_ID]))
        if target.verb is Verb.DELETE:
            return await _delete(visit, shown, editor, row)
        return await _change(visit, shown, editor, row, given)


async def _change(visit: Visit, shown: Shown, editor: Editor, row: Row, given: Any) -> Response:
    changes = changes_of(shown, editor.changeable, row, given)
    if not changes:
        return _answer(row, 200)
    async with accounted(visit):
        await editor.change(visit.connection, row, changes)
        now = await _read(visit.connection, shown, row["id"])
        changed = [name for name in row if now[name] != row[name]]
        before, after = ({name: values[name] for name in changed} for values in (row, now))
        await _record(visit, editor.verb, shown, editor, now, before, after)
    return _answer(now, 200)


async def _create(visit: Visit, shown: Shown, editor: Editor, given: Any) -> Response:
    values = values_of(shown, editor.creatable, given)
    if editor.create is None:
        raise RuntimeError(f"{shown.name} has a right to create rows, and no command: see permissions.py")
    async with accounted(visit):
        made = await editor.create(visit.connection, values)
        row = await _read(visit.connection, shown, made)
        await _record(visit, audit.Verb.TABLE_CREATE, shown, editor, row, None, row)
    return _answer(row, 201)


async def _delete(visit: Visit, shown: Shown, editor: Editor, row: Row) -> Response:
    if editor.delete is None:
        raise RuntimeError(f"{shown.name} has a right to delete rows, and no command: see permissions.py")
    async with accounted(visit):
        await editor.delete(visit.connection, row)
        await _record(visit, audit.Verb.TABLE_DELETE, shown, editor, row, row, None)
    return Response(status_code=204)


async def _record(
    visit: Visit,
    verb: audit.Verb,
    shown: Shown,
    editor: Editor,
    row: Row,
    before: Row | None,
    after: Row | None,
) -> None:
    name = f"{shown.name} {row.get(shown.link, row['id'])}"
    if verb is audit.Verb.ORGANIZATION_CHANGE:
        name = str(row["name"])
    await audit.record(
        visit.connection,
        visit.actor,
        verb,
        audit.Thing(shown.name, str(row["id"]), name),
        organization_id=row[editor.owner] if editor.owner else None,
        before=before,
        after=after,
        reason=reason_of(visit.request),
    )


async def _locked(connection: Any, shown: Shown, editor: Editor, key: Any) -> Row:
    """The row, kept from other edits until the end of the transaction. Raises NotFound."""
    await connection.fetch(editor.lock, key)
    return await _read(connection, shown, key)


async def _read(connection: Any, shown: Shown, key: Any) -> Row:
    """The columns that are served, and so may stand in the audit. Raises NotFound."""
    columns = ", ".join(f'"{name}"' for name in shown.served)
    found = await connection.fetchrow(f'select {columns} from "{shown.name}" where id = $1', key)  # noqa: S608  our own names
    if found is None:
        raise NotFound("There is no row with this id.")
    return {name: _value(shown, name, value) for name, value in found.items()}


def _value(shown: Shown, name: str, value: Any) -> Any:
    return json.loads(value) if isinstance(shown.served[name], JSON | JSONB) and value is not None else value


def _answer(row: Row, status: int) -> Response:
    return JSONResponse(json.loads(stored_json(dict(row))), status)


async def _body(visit: Visit) -> Any:
    """The JSON that was sent. Raises InvalidValue."""
    kind = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidValue("Send JSON, as application/json.")
    try:
        return json.loads(await visit.request.body())
    except (ValueError, RecursionError):
        raise InvalidValue("What was sent is no JSON.") from None

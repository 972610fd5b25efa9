"""The actions: their list, each one's form, its preview, and doing it."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError
from starlette.responses import Response

from admin.actions.action import Action, Field, Options, Outcome, Preview, Values
from admin.actions.table import ACTIONS, BY_SLUG, GROUPS
from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.rendering import render
from admin.web.visit import Visit
from domain import api_replies
from domain.audit import TEXT_LENGTH
from domain.faults import Conflict, Fault, InvalidValue, NotFound
from domain.key_format import holds_key
from domain.operators import Right
from portal.web.failures import field_errors, status_of

_OURS = ("reason", "once", "seen")


@dataclass(frozen=True, kw_only=True)
class ActionsPage(Page):
    """All that this operator may do, by heading."""

    template: ClassVar[str] = "actions.html"
    title: str = "Actions"
    groups: tuple[tuple[str, tuple[Action, ...]], ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """A field with what stands in it, what may be chosen, and what is wrong with it."""

    field: Field
    value: str
    options: Options
    error: str


@dataclass(frozen=True, kw_only=True)
class ActionPage(Page):
    """An action's form; with `preview` also what it would do, and the second form, which does it."""

    template: ClassVar[str] = "action.html"
    action: Action
    fields: tuple[Filled, ...]
    preview: Preview | None = None
    seen: str = ""
    reason: str = ""
    once: str = ""


@dataclass(frozen=True, kw_only=True)
class OutcomePage(Page):
    """What was done."""

    template: ClassVar[str] = "action_done.html"
    action: Action
    outcome: Outcome


async def show_all(visit: Visit) -> Page:
    """GET /actions."""
    mine = tuple(action for action in ACTIONS if visit.may(action.right))
    groups = ((name, tuple(action for action in mine if action.group == name)) for name in GROUPS)
    return ActionsPage(groups=tuple(group for group in groups if group[1]))


async def show(visit: Visit, slug: str) -> Page:
    """GET /actions/{slug}: the form, prefilled by the query."""
    action = _action(visit, slug)
    given = {field.name: visit.request.query_params.get(field.name, field.value) for field in action.fields}
    return ActionPage(title=action.title, action=action, fields=await _filled(visit, action, given, {}))


async def preview(visit: Visit, slug: str) -> Page | Response:
    """POST /actions/{slug}/preview: what it would do."""
    action, given = _action(visit, slug), _given(visit)
    try:
        _require_no_key(visit, action)
        values = action.model(**given)
        made = await action.preview(visit, values)
    except (ValidationError, Fault) as fault:
        return await _wrong(visit, action, given, fault)
    return await _previewed(visit, action, given, made, seen=_seen(action, values, made))


async def carry_out(visit: Visit, slug: str) -> Page | Response:
    """POST /actions/{slug}: do it."""
    action, given, reason = _action(visit, slug), _given(visit), visit.text("reason")
    try:
        _require_no_key(visit, action)
        values = action.model(**given)
        made = await action.preview(visit, values)
    except (ValidationError, Fault) as fault:
        return await _wrong(visit, action, given, fault)
    try:
        async with visit.change():  # so that the form can be shown again with what its fields offer
            outcome = await _once(visit, action, values, reason, made)
    except Fault as fault:
        told = {"reason": reason, "error": str(fault), "status": status_of(fault)}
        page = await _previewed(visit, action, given, made, seen=_seen(action, values, made), **told)
        return render(visit, page)
    return OutcomePage(title=action.title, action=action, outcome=outcome)


async def _once(visit: Visit, action: Action, values: Values, reason: str, made: Preview) -> Outcome:
    """Do it unless the form was used, the preview is another one now, or nobody says why. Raises Conflict, InvalidValue."""
    if len(reason) < 3:
        raise InvalidValue("Say why, in a few words: it stands in the audit.")
    if len(reason) > TEXT_LENGTH:
        raise InvalidValue(f"The reason is longer than {TEXT_LENGTH} characters.")
    once = visit.text("once")
    if not 16 <= len(once) <= 64:
        raise InvalidValue("This form is not one of ours. Begin again.")
    scope = f"admin:{visit.operator.id}:{action.slug}"
    claimed = await api_replies.claim(visit.connection, scope=scope, key=once, fingerprint=visit.text("seen")[:64])
    if isinstance(claimed, api_replies.KeptReply):
        raise Conflict("This form was sent before, and was carried out then. Nothing was done now.")
    if visit.text("seen") != _seen(action, values, made):
        raise Conflict("What this would do has changed since you looked. Nothing was done. Look again.")
    outcome = await action.carry_out(visit, values, reason)
    await api_replies.keep(visit.connection, claimed, 200, {"sentence": outcome.sentence})
    return outcome


def _seen(action: Action, values: Values, made: Preview) -> str:
    """What was looked at: these values of this action, and what they would do. Who sends others has not looked at them.

    Of a secret value it knows what the preview carries in its place.
    """
    secret = {field.name for field in action.fields if field.secret}
    known = {**values.model_dump(mode="json", exclude=secret), **made.carried}
    return hashlib.sha256(repr((action.slug, sorted(known.items()), made.fingerprint)).encode()).hexdigest()


def _action(visit: Visit, slug: str) -> Action:
    action = BY_SLUG.get(slug)
    if action is None:
        raise NotFound("There is no such action.")
    visit.operator.require(action.right)
    return action


def _given(visit: Visit) -> dict[str, Any]:
    """What the form brings for the action; fields left empty are left out, so that their defaults hold."""
    return {name: value for name, value in visit.form.items() if name not in _OURS and value != ""}


def _require_no_key(visit: Visit, action: Action) -> None:
    """Raise InvalidValue for a whole API key where none belongs: it would be shown, and stand in the audit for good."""
    secret = {field.name for field in action.fields if field.secret}
    if any(holds_key(str(value)) for name, value in visit.form.items() if name not in secret):
        raise InvalidValue(
            "A whole API key stands in this form. Name a key by how it begins; who has seen this one may use it."
        )


async def _previewed(visit: Visit, action: Action, given: dict[str, Any], made: Preview, **more: Any) -> ActionPage:
    once = visit.text("once") or secrets.token_urlsafe(18)
    if more.get("status") == 409:
        once = secrets.token_urlsafe(18)
    fields = await _filled(visit, action, {**given, **made.carried}, {})
    return ActionPage(title=action.title, action=action, fields=fields, preview=made, once=once, **more)


async def _wrong(visit: Visit, action: Action, given: dict[str, Any], fault: ValidationError | Fault) -> Response:
    errors: dict[str, str] = {}
    status, text = 422, "Some values are not valid."
    if isinstance(fault, ValidationError):
        errors = {error["field"].partition(".")[0]: error["message"] for error in field_errors(fault)}
        text = errors.pop("", text)
    else:
        status, text = status_of(fault), str(fault)
    fields = await _filled(visit, action, given, errors)
    page = ActionPage(title=action.title, action=action, fields=fields, error=text, status=status)
    return render(visit, page)


async def _filled(visit: Visit, action: Action, given: dict[str, Any], errors: dict[str, str]) -> tuple[Filled, ...]:
    filled = []
    for field in action.fields:
        options = await field.options(visit) if callable(field.options) else field.options
        value = given.get(field.name, "")
        # Who pastes a whole API key into any field does not get it back in a page.
        shown = isinstance(value, str) and not field.secret and not holds_key(value)
        filled.append(Filled(field, value if shown else "", options, errors.get(field.name, "")))
    return tuple(filled)


PAGES = (
    PageRoute("/actions", show_all, right=Right.LOOK),
    PageRoute("/actions/{slug}", show, right=Right.LOOK),
    PageRoute("/actions/{slug}/preview", preview, "POST", right=Right.LOOK, changes=False),
    PageRoute("/actions/{slug}", carry_out, "POST", right=Right.LOOK),
)

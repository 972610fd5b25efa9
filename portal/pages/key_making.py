"""Making and rotating keys. The answer to the form shows the key, this once: no URL has it, and a reload makes no other."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from uuid import UUID, uuid4

from starlette.responses import Response

from domain.access import Permission
from domain.api_replies import KeptReply, claim, keep
from domain.faults import Fault, InvalidValue
from domain.key_listing import KeyEntry, fetch_entry
from domain.keys import CreatedKey
from domain.service_catalog import list_catalog
from domain.tenant_keys import KeyWish, create_key, rotate_key
from portal.pages.key_forms import EXPIRIES, KeyForm, ScopeChoice, form_of, scope_choices
from portal.pages.keys import OVERLAPS, PATH, keys_root
from portal.web.examples import first_call
from portal.web.failures import failure_of
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

_BEFORE = "key_made_before"


@dataclass(frozen=True, kw_only=True)
class NewKeyPage(Page):
    """The form of a new key, with what was written; `once` makes a form that is sent twice one key."""

    template: ClassVar[str] = "key_new.html"
    root: str
    form: KeyForm
    choices: tuple[ScopeChoice, ...]
    expiries: tuple[tuple[str, str], ...]
    once: str
    suspended: bool


@dataclass(frozen=True, kw_only=True)
class KeyMadePage(Page):
    """The only page that ever has a key. `former` is the key that it replaces."""

    template: ClassVar[str] = "key_made.html"
    root: str
    made: CreatedKey
    curl: str
    former: KeyEntry | None

    def __repr__(self) -> str:
        return f"KeyMadePage({self.made!r})"


async def new(visit: Visit) -> Page:
    """An empty form."""
    return await _form_page(visit, KeyForm())


async def create(visit: Visit) -> Page | Response:
    """Make the key and show it."""
    form = form_of(visit.form)
    try:
        async with visit.change():
            claimed = await _claim(visit)
            if isinstance(claimed, KeptReply):
                return _go_to(visit, claimed)
            made = await create_key(
                visit.connection, visit.access, visit.actor, visit.settings.keys, _wish(form, visit.person.time_zone)
            )
            await keep(visit.connection, claimed, 201, {"id": str(made.record.id)})
    except Fault as fault:
        return await _form_page(visit, form, fault)
    return await _made_page(visit, made, None)


async def rotate(visit: Visit, key_id: UUID) -> Page | Response:
    """Make the successor and show it."""
    await fetch_entry(visit.connection, visit.access, key_id)
    overlap = str(visit.form.get("overlap", ""))
    if overlap not in {seconds for seconds, _ in OVERLAPS}:
        raise InvalidValue("Choose when the old key shall stop.")
    claimed = await _claim(visit)
    if isinstance(claimed, KeptReply):
        return _go_to(visit, claimed)
    made = await rotate_key(
        visit.connection, visit.access, visit.actor, visit.settings.keys, key_id, timedelta(seconds=int(overlap))
    )
    await keep(visit.connection, claimed, 201, {"id": str(made.record.id)})
    return await _made_page(visit, made, await fetch_entry(visit.connection, visit.access, key_id))


def _wish(form: KeyForm, zone: str) -> KeyWish:
    return KeyWish(
        name=form.name,
        environment=form.environment,
        scopes=form.chosen_scopes,
        allowed_ips=form.allowed_ips,
        expires_at=form.expires_at(zone),
        spend_caps=form.spend_caps,
    )


async def _claim(visit: Visit) -> UUID | KeptReply:
    """The same form, sent again, is known by its `once`; other values in it make it another form."""
    try:
        once = UUID(str(visit.form.get("once", "")))
    except ValueError:
        once = uuid4()
    written = json.dumps(visit.form, sort_keys=True, default=str).encode()
    return await claim(
        visit.connection,
        scope=f"page:{visit.person.user_id}:{visit.request.url.path}",
        key=f"{once}:{hashlib.sha256(written).hexdigest()}",
        fingerprint="",
    )


def _go_to(visit: Visit, reply: KeptReply) -> Response:
    return see_other(f"{keys_root(visit)}/{json.loads(reply.body)['id']}", done=_BEFORE)


async def _form_page(visit: Visit, form: KeyForm, fault: Fault | None = None) -> NewKeyPage:
    failure = failure_of(fault) if fault else None
    services = await list_catalog(visit.connection, visit.access.organization_id)
    return NewKeyPage(
        title="New API key",
        root=keys_root(visit),
        form=form,
        choices=scope_choices(services, form.scopes),
        expiries=EXPIRIES,
        once=str(uuid4()),
        suspended=visit.access.state == "suspended",
        error=failure.detail if failure else "",
        status=failure.status if failure else 200,
    )


async def _made_page(visit: Visit, made: CreatedKey, former: KeyEntry | None) -> KeyMadePage:
    services = await list_catalog(visit.connection, visit.access.organization_id)
    return KeyMadePage(
        title="Copy your new key now",
        root=keys_root(visit),
        made=made,
        curl=first_call(gateway_url(visit), services, made.record.scopes, made.plaintext),
        former=former,
        status=201,
    )


PAGES = (
    PageRoute(f"{PATH}/new", new, permission=Permission.BUILD),
    PageRoute(f"{PATH}/new", create, "POST", permission=Permission.BUILD),
    PageRoute(f"{PATH}/{{key_id:uuid}}/rotate", rotate, "POST", permission=Permission.BUILD),
)

"""Changing a key: its name, what it may call and from where, until when, and how much it may cost."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.faults import Fault
from domain.key_listing import KeyEntry, fetch_entry
from domain.service_catalog import list_catalog
from domain.tenant_keys import KeyChange, change_key
from portal.pages.key_forms import EXPIRIES, KeyForm, ScopeChoice, form_of, form_of_key, scope_choices
from portal.pages.keys import PATH, keys_root
from portal.web.failures import failure_of
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

EDIT = f"{PATH}/{{key_id:uuid}}/edit"


@dataclass(frozen=True, kw_only=True)
class EditKeyPage(Page):
    """A key's form; a key that has ended only takes another name."""

    template: ClassVar[str] = "key_edit.html"
    root: str
    entry: KeyEntry
    form: KeyForm
    choices: tuple[ScopeChoice, ...]
    expiries: tuple[tuple[str, str], ...]


async def edit(visit: Visit, key_id: UUID) -> Page:
    """The key as it is."""
    entry = await fetch_entry(visit.connection, visit.access, key_id)
    return await _page(visit, entry, form_of_key(entry.record, visit.person.time_zone))


async def change(visit: Visit, key_id: UUID) -> Page | Response:
    """Make it as the form says."""
    entry = await fetch_entry(visit.connection, visit.access, key_id)
    form = form_of(visit.form)
    try:
        async with visit.change():
            await change_key(
                visit.connection, visit.access, visit.actor, key_id, _changes(form, entry, visit.person.time_zone)
            )
    except Fault as fault:
        return await _page(visit, entry, form, fault)
    return see_other(f"{keys_root(visit)}/{key_id}", done="saved")


def _changes(form: KeyForm, entry: KeyEntry, zone: str) -> KeyChange:
    if entry.record.state != "active":
        return KeyChange(name=form.name)
    return KeyChange(
        name=form.name,
        scopes=form.chosen_scopes,
        allowed_ips=form.allowed_ips,
        changes_expiry=form.expiry != "same",
        expires_at=None if form.expiry == "same" else form.expires_at(zone),
        spend_caps=form.spend_caps,
    )


async def _page(visit: Visit, entry: KeyEntry, form: KeyForm, fault: Fault | None = None) -> EditKeyPage:
    failure = failure_of(fault) if fault else None
    services = await list_catalog(visit.connection, visit.access.organization_id)
    same = (("same", "As it is now"),) if entry.record.expires_at else ()
    return EditKeyPage(
        title=f"Change {entry.record.name}",
        root=keys_root(visit),
        entry=entry,
        form=form,
        choices=scope_choices(services, form.scopes),
        expiries=(*same, *EXPIRIES),
        error=failure.detail if failure else "",
        status=failure.status if failure else 200,
    )


PAGES = (
    PageRoute(EDIT, edit, permission=Permission.BUILD),
    PageRoute(EDIT, change, "POST", permission=Permission.BUILD),
)

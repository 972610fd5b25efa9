"""Organizations: their name, how they pay, their spend caps. Users: their names."""

from typing import Any

from admin.tables.editors.editor import Editor, Row, names
from domain import organizations
from domain.audit import Verb
from domain.identity.profiles import rename_user
from domain.spend_caps import set_organization_caps

_CAPS = {"spend_cap_day_micro": "day", "spend_cap_month_micro": "month"}


async def _change_organization(connection: Any, row: Row, changes: Row) -> None:
    caps = {_CAPS[name]: value for name, value in changes.items() if name in _CAPS}
    if caps:
        await set_organization_caps(connection, row["slug"], caps)
    others = {name: value for name, value in changes.items() if name not in _CAPS}
    if others:
        await organizations.change(connection, row["slug"], **others)


async def _change_user(connection: Any, row: Row, changes: Row) -> None:
    await rename_user(connection, row["id"], {name: value or "" for name, value in changes.items()})


ORGANIZATION = Editor(
    names("name billing_mode spend_cap_day_micro spend_cap_month_micro"),
    _change_organization,
    "select from organization where id = $1 for no key update",
    verb=Verb.ORGANIZATION_CHANGE,
    owner="id",
)
USER = Editor(names("first_name last_name"), _change_user, "select from users where id = $1 for no key update")

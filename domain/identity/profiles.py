"""What a user's account is: name, address, and the ways into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain import audit
from domain.faults import NotSignedIn
from domain.names import valid_name
from domain.passwords import NO_PASSWORD


@dataclass(frozen=True, slots=True)
class Profile:
    """One account. `pending_email` has been sent a link and is not confirmed; `factor_since` None: one factor only."""

    user_id: int
    email: str
    email_verified: bool
    name: str
    created_at: datetime
    deletes_at: datetime | None
    has_password: bool
    pending_email: str | None
    factor_since: datetime | None
    recovery_codes_left: int


_NAMES = {"first_name": "first name", "last_name": "last name"}
_FETCH = """
select u.id as user_id, u.email, u.email_verified_at is not null as email_verified, u.created_at, u.deletes_at,
       trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name, u.password <> $2 as has_password,
       (select email from user_link where user_id = u.id and purpose = 'change_email' and used_at is null
         and expires_at > now() order by created_at desc limit 1) as pending_email,
       (select confirmed_at from totp_factor where user_id = u.id) as factor_since,
       (select count(*) from recovery_code where user_id = u.id and used_at is null) as recovery_codes_left
  from users u where u.id = $1
"""


async def fetch_profile(connection: Any, user_id: int) -> Profile:
    """The account as it is. Raises NotSignedIn for one that is gone."""
    row = await connection.fetchrow(_FETCH, user_id, NO_PASSWORD)
    if row is None:
        raise NotSignedIn("This account is gone.")
    return Profile(**dict(row))


async def change_name(connection: Any, user_id: int, actor: audit.Actor, name: str) -> None:
    """Call the user something else, or nothing. Raises InvalidValue."""
    name = valid_name(name) if name.strip() else ""
    before = await connection.fetchval(
        "update users u set first_name = $2, last_name = '' from users was where u.id = $1 and was.id = u.id"
        " returning trim(coalesce(was.first_name, '') || ' ' || coalesce(was.last_name, ''))",
        user_id,
        name,
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.ACCOUNT_CHANGE_NAME,
        audit.Thing("user", str(user_id), actor.name),
        before={"name": before},
        after={"name": name},
    )


async def rename_user(connection: Any, user_id: int, names: Mapping[str, str]) -> None:
    """Set `first_name` and `last_name`, whichever are given; empty is none. Raises InvalidValue."""
    checked = {column: valid_name(name, _NAMES[column]) if name.strip() else "" for column, name in names.items()}
    await connection.execute(
        "update users set first_name = coalesce($2, first_name), last_name = coalesce($3, last_name) where id = $1",
        user_id,
        checked.get("first_name"),
        checked.get("last_name"),
    )

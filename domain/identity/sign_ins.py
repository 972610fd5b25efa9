"""What a complete sign-in leaves behind: when it was, a line in the audit, and a mail if the browser is a new one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain import audit
from domain.faults import NotSignedIn
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings

_BROWSER_LENGTH = 120


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in: of whom, how, from where."""

    user_id: int
    how: str
    address: str
    user_agent: str
    request_id: str
    known_device: bool


_NOTE = """
with was as (select id, last_login from users where id = $1 and active for update)
update users u set last_login = now() from was
  left join user_preference p on p.user_id = was.id
 where u.id = was.id
returning u.email, was.last_login is null as first, coalesce(p.notify_new_device, true) as notify
"""


async def note_sign_in(connection: Any, settings: SecretSettings, sign_in: SignIn) -> None:
    """Note it, and tell the user of a browser that is new. Raises NotSignedIn for a user who is not active."""
    row = await connection.fetchrow(_NOTE, sign_in.user_id)
    if row is None:
        raise NotSignedIn("This account is not active.")
    await audit.record(
        connection,
        audit.Actor("user", sign_in.user_id, row["email"], sign_in.address, sign_in.request_id),
        audit.Verb.ACCOUNT_SIGN_IN,
        audit.Thing("user", str(sign_in.user_id), row["email"]),
        after={"how": sign_in.how, "new_device": not sign_in.known_device},
    )
    if not sign_in.known_device and not row["first"] and row["notify"]:
        values = {
            "email": row["email"],
            "address": sign_in.address,
            "browser": sign_in.user_agent[:_BROWSER_LENGTH] or "unknown",
            "time": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        }
        await post_mail(connection, settings, template="new_device", to=row["email"], values=values)

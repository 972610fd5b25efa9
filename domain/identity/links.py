"""Links that are mailed: good once and for a short time. Of the token only its SHA-256 is stored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.faults import NotFound
from domain.random_tokens import digest_of, new_token

VERIFY, RESET, CHANGE_EMAIL, KEEP_ACCOUNT = "verify_email", "reset_password", "change_email", "keep_account"
LIVES = {
    VERIFY: timedelta(hours=24),
    RESET: timedelta(minutes=30),
    CHANGE_EMAIL: timedelta(hours=24),
    KEEP_ACCOUNT: timedelta(days=366),
}

_LIVING = "purpose = $2 and used_at is null and expires_at > now()"


class DeadLink(NotFound):
    """The link was used, is too old, or never was one: nobody learns which."""

    code = "dead_link"

    def __init__(self) -> None:
        super().__init__("This link has been used or is too old. Ask for a new one.")


@dataclass(frozen=True, slots=True)
class Link:
    """For whom a link is and what it carries. `organization_name` is of a sign-up; None: nothing is founded."""

    user_id: int
    email: str
    organization_name: str | None


async def new_link(
    connection: Any,
    user_id: int,
    email: str,
    purpose: str,
    *,
    organization_name: str | None = None,
    lives: timedelta | None = None,
) -> str:
    """The token of a new link. Those that were mailed before stay good: an attacker who asks for more voids none.

    `lives` None: as long as links of this purpose do. One that nobody asked for has to wait until it is read.
    """
    token = new_token()
    await connection.execute(
        "insert into user_link (user_id, purpose, token_digest, email, expires_at, organization_name)"
        " values ($1, $2, $3, $4, now() + $5::interval, $6)",
        user_id,
        purpose,
        token.digest,
        email,
        lives or LIVES[purpose],
        organization_name,
    )
    return token.text


async def look_at(connection: Any, token: str, purpose: str) -> Link:
    """What a link is for, without using it: mail scanners open links. Raises DeadLink."""
    row = await connection.fetchrow(
        f"select user_id, email, organization_name from user_link where token_digest = $1 and {_LIVING}",
        digest_of(token),
        purpose,
    )
    if row is None:
        raise DeadLink
    return Link(**dict(row))


async def use(connection: Any, token: str, purpose: str) -> Link:
    """Use a link; of two at once one gets it. The user's other links of this purpose die with it. Raises DeadLink."""
    # All of the user's in one order: two links that are used at once must not wait for each other.
    await connection.execute(
        "select from user_link where purpose = $2 and user_id = (select user_id from user_link where token_digest = $1)"
        " order by id for update",
        digest_of(token),
        purpose,
    )
    row = await connection.fetchrow(
        f"update user_link set used_at = now() where token_digest = $1 and {_LIVING}"
        " returning user_id, email, organization_name",
        digest_of(token),
        purpose,
    )
    if row is None:
        raise DeadLink
    await void(connection, row["user_id"], purpose)
    return Link(**dict(row))


async def void(connection: Any, user_id: int, purpose: str) -> bool:
    """Let every link of the user for this purpose be good no more. Returns whether there was one."""
    voided = "update user_link set used_at = now() where user_id = $1 and purpose = $2 and used_at is null"
    return str(await connection.execute(voided, user_id, purpose)) != "UPDATE 0"

"""Second factors: an authenticator that was proven stands between a right password and a session."""

from typing import Any


async def has_factor(connection: Any, user_id: int) -> bool:
    """Whether a second factor is in force for the user."""
    return bool(
        await connection.fetchval(
            "select exists (select from totp_factor where user_id = $1 and confirmed_at is not null)", user_id
        )
    )

"""Codes that stand in for the second factor when the device is lost: ten, shown once, each good once."""

import secrets
from typing import Any

from domain.random_tokens import digest_of

HOW_MANY = 10
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_GROUPS, _GROUP = 3, 5
LENGTH = _GROUPS * _GROUP
"""Characters of a code without its hyphens: 74 random bits, so a plain SHA-256 of it tells nothing."""


async def make_codes(connection: Any, user_id: int) -> list[str]:
    """New codes in the place of all earlier ones."""
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(LENGTH)) for _ in range(HOW_MANY)]
    await forget_codes(connection, user_id)
    await connection.execute(
        "insert into recovery_code (user_id, code_digest) select $1, unnest($2::bytea[])",
        user_id,
        [_digest(user_id, code) for code in codes],
    )
    return ["-".join(code[at : at + _GROUP] for at in range(0, LENGTH, _GROUP)) for code in codes]


async def use_code(connection: Any, user_id: int, code: str) -> int | None:
    """Use the code up and return how many are left; None if it is none, or was used: of two at once, one gets it."""
    plain = "".join(character for character in code.lower() if character.isalnum())
    used = await connection.fetchval(
        "update recovery_code set used_at = now() where user_id = $1 and code_digest = $2 and used_at is null"
        " returning true",
        user_id,
        _digest(user_id, plain),
    )
    if not used:
        return None
    left: int = await connection.fetchval(
        "select count(*) from recovery_code where user_id = $1 and used_at is null", user_id
    )
    return left


async def forget_codes(connection: Any, user_id: int) -> None:
    """None is good any more."""
    await connection.execute("delete from recovery_code where user_id = $1", user_id)


def _digest(user_id: int, plain: str) -> bytes:
    return digest_of(f"{user_id}:{plain}")

"""Passwords of people: Argon2id, always off the event loop."""

import secrets

from domain.faults import InvalidValue
from schema.users import HASHER, User, hash_in_thread, verify_in_thread

GENERATED_BYTES = 15
NO_PASSWORD = "$argon2-none"  # noqa: S105  what stands in the place of a hash
"""Stored for who only signs in elsewhere. No password has it, and Piccolo takes it for a hash and leaves it alone."""


async def hash_password(password: str) -> str:
    """The hash to store. Raises InvalidValue for a password that is too short, too long, or a hash itself."""
    try:
        User._validate_password(password)  # noqa: SLF001  Piccolo's own rule, which the admin applies too
    except ValueError as error:
        raise InvalidValue(str(error)) from None
    return await hash_in_thread(password)


async def verify_password(stored: str, password: str) -> bool:
    """Whether `password` has the stored hash."""
    return await verify_in_thread(stored, password)


def needs_new_hash(stored: str) -> bool:
    """Whether a right password should be hashed again, because the parameters are others now."""
    return HASHER.check_needs_rehash(stored)


def generate_password() -> str:
    """A password of 120 random bits, 20 characters that a URL and a shell take as they are."""
    return secrets.token_urlsafe(GENERATED_BYTES)

"""People: one identity for the portal and the admin."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from piccolo.apps.user.tables import BaseUser
from piccolo.columns import Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's Argon2id parameters: 19 MiB, two passes; about 70 ms on one core."""

HASHES_AT_ONCE = 2
"""Each hash holds 19 MiB and a core: more at once would only be slower, and a memory hole for an attacker."""

UNKNOWN_USER_HASH = HASHER.hash("nobody has this password")
"""Checked when there is no such user, so that an unknown e-mail takes as long as a wrong password."""

_ARGON2 = "$argon2"
_limiter_of_loop: RunVar[CapacityLimiter] = RunVar("password_hash_limiter")


class User(BaseUser, tablename="users"):
    """A person. `email` is lower-case and is also the `username` that Piccolo's admin asks for."""

    username = Varchar(length=255, unique=True, help_text="Always the same as the e-mail address.")
    email = Varchar(length=255, unique=True, help_text="Lower-case.")
    created_at = Timestamptz(default=TimestamptzNow())
    last_login = Timestamptz(null=True, default=None, help_text="When this user last signed in.")
    email_verified_at = Timestamptz(null=True, default=None, help_text="When the address was proven; null: not yet.")
    deletes_at = Timestamptz(null=True, default=None, help_text="The account is deleted then, unless it is kept.")
    operator_role = Text(null=True, default=None, help_text="What they may do in the back office; null: a customer.")

    ck_users_email = Check("email = lower(email) and length(email) between 3 and 255")
    ck_users_username = Check("username = email")
    ck_users_operator_role = Check("operator_role in ('superuser', 'admin', 'support', 'analyst', 'finance')")
    ck_users_operator_flags = Check(
        "admin = (operator_role is not null) and superuser = (operator_role is not distinct from 'superuser')"
    )

    _min_password_length = 8

    def __init__(self, **kwargs: Any) -> None:
        # A loaded row must stay as it is; a new one gets both names of its one identity.
        if not kwargs.get("_exists_in_db"):
            address = kwargs.get("email") or kwargs.get("username")
            if address:
                kwargs["email"] = kwargs["username"] = address.strip().lower()
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    @classmethod
    def hash_password(cls, password: str, salt: str = "", iterations: int | None = None) -> str:
        """Argon2id hash of `password`. A hash comes back as it is: BaseUser hashes again on every load otherwise."""
        del salt, iterations  # Argon2 makes its own salt; its parameters stand in the hash
        if password.startswith(_ARGON2):
            return password
        if len(password) > cls._max_password_length:
            raise ValueError("The password is too long.")
        return HASHER.hash(password)

    @classmethod
    def _validate_password(cls, password: str) -> None:
        super()._validate_password(password)
        if password.startswith(_ARGON2):
            raise ValueError("Do not pass a hashed password.")

    @classmethod
    async def create_user(cls, username: str, password: str, **extra_params: Any) -> "User":
        """A new user, saved. Raises ValueError when the address is missing or the password unfit."""
        if not username:
            raise ValueError("An e-mail address must be provided.")
        cls._validate_password(password)
        user = cls(username=username, password=await hash_in_thread(password), **extra_params)
        await user.save()
        return user

    @classmethod
    async def update_password(cls, user: str | int, password: str) -> None:
        """Set a password by user id or e-mail. Raises ValueError when it is too short, too long, or a hash."""
        cls._validate_password(password)
        stored = await hash_in_thread(password)
        clause = cls.id == user if isinstance(user, int) else cls.username == user.strip().lower()
        await cls.update({cls.password: stored}).where(clause)

    @classmethod
    async def login(cls, username: str, password: str) -> int | None:
        """The user's id if the password is right, else None; the same time either way. Notes the login."""
        if len(password) > cls._max_password_length or len(username) > 255:
            return None
        query = cls.select(cls.id, cls.password).where(cls.username == username.strip().lower()).first()
        row = await query
        stored = row["password"] if row else UNKNOWN_USER_HASH
        matches = await verify_in_thread(stored, password)
        if not row or not matches:
            return None
        changes: dict[Any, Any] = {cls.last_login: datetime.now(UTC)}
        if HASHER.check_needs_rehash(stored):
            changes[cls.password] = await hash_in_thread(password)
        await cls.update(changes).where(cls.id == row["id"])
        return int(row["id"])


def _limiter() -> CapacityLimiter:
    """The limiter of the running event loop: an anyio limiter must not cross loops."""
    try:
        return _limiter_of_loop.get()
    except LookupError:
        limiter = CapacityLimiter(HASHES_AT_ONCE)
        _limiter_of_loop.set(limiter)
        return limiter


async def hash_in_thread(password: str) -> str:
    """Argon2id hash of `password`, off the event loop."""
    return await anyio.to_thread.run_sync(User.hash_password, password, limiter=_limiter())


async def verify_in_thread(stored: str, password: str) -> bool:
    """Whether `password` has the hash `stored`, off the event loop. False for anything that is no Argon2 hash."""
    return await anyio.to_thread.run_sync(_verify, stored, password, limiter=_limiter())


def _verify(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, password)
    except InvalidHashError:
        # An account without a password takes as long as a wrong password.
        with contextlib.suppress(VerificationError):
            HASHER.verify(UNKNOWN_USER_HASH, password)
        return False
    except VerificationError:
        return False

"""With what a service's upstream signs its callbacks: made when it is first needed, two at once while it is changed.

The secret is sealed in the service's row, and can be shown again: who runs the upstream has to copy it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.faults import InvalidValue, NotFound
from domain.portal_settings import SecretSettings
from domain.sealing import Unreadable, seal, unseal
from domain.webhooks.signing import new_secret, secret_text

PURPOSE = "job_callback"
LONGEST_OVERLAP = timedelta(days=7)

_SERVICE = "select id, slug, callback_secret, old_callback_secret, old_callback_secret_until from service where slug = $1 for no key update"
_MAKE = "update service set callback_secret = $2 where id = $1"
_ROTATE = """
update service set callback_secret = $2, old_callback_secret = callback_secret,
       old_callback_secret_until = case when callback_secret is not null then $3::timestamptz end where id = $1
"""
_OF_JOB = """
select j.organization_id, s.id, s.callback_secret, case when s.old_callback_secret_until > now() then s.old_callback_secret end as old_secret
  from async_job j join service s on s.id = j.service_id where j.id = $1
"""


@dataclass(frozen=True, slots=True, repr=False)
class CallbackSecret:
    """A service's secret as its upstream gets it (`whsec_...`). `old_until`: until then the one before is good too."""

    service_id: UUID
    slug: str
    secret: str
    old_until: datetime | None

    def __repr__(self) -> str:
        return f"CallbackSecret({self.slug})"


class Signer(NamedTuple):
    """Whose job it is, and what its callbacks may be signed with."""

    organization_id: UUID
    secrets: list[bytes]


async def show_secret(connection: Any, secrets: SecretSettings, slug: str) -> CallbackSecret:
    """The service's secret; made now, if it has none. Raises NotFound, Unreadable."""
    async with connection.transaction():
        row = await _service(connection, slug)
        sealed = row["callback_secret"]
        if sealed is None:
            secret = new_secret()
            await connection.execute(_MAKE, row["id"], _sealed(secrets, row["id"], secret))
        else:
            secret = unseal(secrets, sealed, purpose=PURPOSE, owner=str(row["id"]))
    until = row["old_callback_secret_until"]
    living = until is not None and until > datetime.now(UTC)
    return CallbackSecret(row["id"], slug, secret_text(secret), until if living else None)


async def rotate_secret(connection: Any, secrets: SecretSettings, slug: str, overlap: timedelta) -> CallbackSecret:
    """A new secret; the one before stays good for `overlap`, at most seven days. Raises NotFound, InvalidValue."""
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise InvalidValue("The former secret stays good for 0 to 7 days.")
    async with connection.transaction():
        row = await _service(connection, slug)
        secret, until = new_secret(), datetime.now(UTC) + overlap
        await connection.execute(_ROTATE, row["id"], _sealed(secrets, row["id"], secret), until)
    return CallbackSecret(row["id"], slug, secret_text(secret), until if row["callback_secret"] is not None else None)


async def signer_of_job(connection: Any, secrets: SecretSettings, job_id: UUID) -> Signer:
    """Who may sign callbacks of a job; nobody where there is no such job, or no secret. Raises Unreadable, but not for a
    former secret: whoever has lost the key that it is sealed with makes a new one, which is good at once.
    """
    row = await connection.fetchrow(_OF_JOB, job_id)
    if row is None:
        return Signer(UUID(int=0), [])
    sealed = [each for each in (row["callback_secret"], row["old_secret"]) if each is not None]
    found = []
    for each in sealed:
        try:
            found.append(unseal(secrets, each, purpose=PURPOSE, owner=str(row["id"])))
        except Unreadable:
            if each is row["callback_secret"]:
                raise
    return Signer(row["organization_id"], found)


async def _service(connection: Any, slug: str) -> Any:
    row = await connection.fetchrow(_SERVICE, slug)
    if row is None:
        raise NotFound(f"There is no service {slug[:80]}.")
    return row


def _sealed(secrets: SecretSettings, service_id: UUID, secret: bytes) -> bytes:
    return seal(secrets, secret, purpose=PURPOSE, owner=str(service_id))

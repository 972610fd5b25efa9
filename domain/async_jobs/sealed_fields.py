"""The fields of a job's request, sealed while they are stored: a caller's credentials for the upstream may be among them."""

import json
from collections.abc import Sequence
from uuid import UUID

from domain.portal_settings import SecretSettings
from domain.sealing import seal, unseal

PURPOSE = "async_job_fields"


def seal_fields(secrets: SecretSettings, job_id: UUID, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """For the row. Raises ValueError where there is no key to seal with."""
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in fields]
    return seal(secrets, json.dumps(pairs).encode(), purpose=PURPOSE, owner=str(job_id))


def unseal_fields(secrets: SecretSettings, job_id: UUID, sealed: bytes) -> list[tuple[bytes, bytes]]:
    """As they were. Raises Unreadable."""
    pairs = json.loads(unseal(secrets, sealed, purpose=PURPOSE, owner=str(job_id)))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]

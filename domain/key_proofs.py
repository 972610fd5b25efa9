"""Whether a text is a living API key of an organization: asked before we send it anywhere ourselves."""

from typing import Any

from domain.access import Access
from domain.faults import InvalidValue
from domain.key_digest import sha256_digest, verify_row
from domain.key_format import parse
from domain.key_records import ALIVE
from domain.settings import KeySettings

LONGEST_KEY = 512
_SELECT = f"select k.scheme, k.digest, k.pepper_version from api_key k where k.organization_id = $1 and {ALIVE}"


async def require_own_key(connection: Any, access: Access, settings: KeySettings, text: str) -> bytes:
    """The key as bytes. Raises InvalidValue, with one sentence for every reason, and never with the key in it."""
    presented = text.strip().encode("ascii", "replace")
    if 0 < len(presented) <= LONGEST_KEY:
        ours = parse(presented)
        if ours is not None:
            row = await connection.fetchrow(f"{_SELECT} and k.public_id = $2", access.organization_id, ours.public_id)
        else:
            digest = sha256_digest(presented)
            row = await connection.fetchrow(f"{_SELECT} and k.digest = $2", access.organization_id, digest)
        if row is not None and _is(presented, row, settings):
            return presented
    raise InvalidValue("This is no active API key of this organization. Paste a whole key, or create one.")


def _is(presented: bytes, row: Any, settings: KeySettings) -> bool:
    return verify_row(presented, row["scheme"], row["digest"], row["pepper_version"], settings.pepper_by_version)

"""Nothing begins to live in an organization that ends: who makes something in it holds it open until that is committed.

Closing changes the organization's row first, so it waits for everybody who holds it, and then ends what they have made; who
comes later finds it closed. Suspending waits in the same way. Locks: the organization, then what is in it.
"""

from typing import Any
from uuid import UUID

from domain.faults import NotFound

_STILL_OPEN = "select state from organization where id = $1 and state <> 'closed' for "


async def open_state(connection: Any, organization_id: UUID, *, alone: bool = False) -> str | None:
    """Its state, `active` or `suspended`, which stays until the caller's transaction ends; None if it is closed.

    `alone`: nobody else holds it meanwhile, so that what is counted in it stays as it is.
    """
    state: str | None = await connection.fetchval(
        _STILL_OPEN + ("no key update" if alone else "share"), organization_id
    )
    return state


async def held_state(connection: Any, organization_id: UUID, *, alone: bool = False) -> str:
    """The same. Raises NotFound if it is closed."""
    state = await open_state(connection, organization_id, alone=alone)
    if state is None:
        raise NotFound("There is no such organization.")
    return state

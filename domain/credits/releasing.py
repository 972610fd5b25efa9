"""Ends what workers hold whose journals are lost for ever, by an operator's word; other journals end by themselves."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.credits import leasing, reservations
from domain.credits.posting import lock_accounts
from domain.replays import close_running


async def release_holders(connection: Any, holder_ids: Iterable[UUID]) -> None:
    """An operator's word that these workers' journals are lost for ever: what they hold unspent is available again.

    In a transaction of its own. Should a journal come back after all, its charges are taken from what is available then.
    """
    over = sorted(holder_ids)
    async with connection.transaction():
        await leasing.close_holders(connection, over)
        await close_running(connection, over, lost=True)
        owners = {*await leasing.organizations_of(connection, over)}
        owners |= set((await reservations.held_by(connection, over)).values())
        if not owners:
            return
        await lock_accounts(connection, owners)
        leased = await leasing.give_back(connection, over)
        reserved = await reservations.release(connection, over)
        await leasing.unhold(connection, {each: (leased.get(each, 0), reserved.get(each, 0)) for each in owners})

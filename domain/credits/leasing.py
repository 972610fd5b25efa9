"""Leases in PostgreSQL: what of an organization's credits is in a worker's hands. Grant, give back, close.

Locks are taken in one order by everybody: the holder, then accounts by their ids (`domain.credits.posting`). A lease
changes only under the lock of its account.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from domain.credits.expiring import expire_due

CHANNEL = "paid_endpoint_credits"
"""Who runs dry says so here: `holder organization`, both in hexadecimal."""

_ADD_HOLDER = "insert into credit_holder (id) values ($1) on conflict do nothing"
_HOLDER = "select closed_at is null from credit_holder where id = $1 for share"
_LOCK = """
select organization_id from credit_account where organization_id = any($1::uuid[])
 order by organization_id for no key update skip locked
"""
_EXIST = "select organization_id from credit_account where organization_id = any($1::uuid[])"

_GRANT = """
with ask as (
  select * from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
             as a (organization_id, call, need, lowest, want, returned)
), standing as (
  select ask.organization_id, ask.call, need, lowest, want,
         a.balance_micro - a.leased_micro - a.reserved_micro as available, a.leased_micro as leased,
         coalesce(l.amount_micro - l.spent_micro - l.returned_micro, 0) as unspent,
         coalesce(l.returned_micro, 0) as given_before,
         case when ask.call = l.call then 0
              else coalesce(least(greatest(ask.returned - l.returned_micro, 0),
                                  l.amount_micro - l.spent_micro - l.returned_micro), 0) end as back,
         coalesce(l.call, 0) as call_before, coalesce(l.granted_micro, 0) as granted_before,
         (select count(*) from credit_holder h
            join credit_lease o on o.holder_id = h.id and o.organization_id = a.organization_id
           where h.closed_at is null and h.id <> $1 and o.amount_micro > o.spent_micro + o.returned_micro) as others
    from ask join credit_account a on a.organization_id = ask.organization_id
    left join credit_lease l on l.organization_id = ask.organization_id and l.holder_id = $1
), sized as (
  select *, case when call = call_before or available + back < lowest then 0
                 else least(available + back,
                            greatest(need, least(want, (available + back) / (2 * (others + 1))))) end as size
    from standing
), lent as (
  update credit_account a set leased_micro = a.leased_micro - s.back + s.size from sized s
   where a.organization_id = s.organization_id and (s.back > 0 or s.size > 0)
     and a.balance_micro - a.leased_micro - a.reserved_micro + s.back >= s.size
), held as (
  insert into credit_lease as l
              (organization_id, holder_id, amount_micro, returned_micro, call, granted_micro, renewed_at)
  select organization_id, $1, size, 0, call, size, now() from sized where call <> call_before
      on conflict on constraint uq_credit_lease_organization_id_holder_id do update
     set amount_micro = l.amount_micro + excluded.amount_micro, call = excluded.call,
         granted_micro = excluded.granted_micro, renewed_at = now(),
         returned_micro = l.returned_micro + (select back from sized s where s.organization_id = l.organization_id)
)
select organization_id, (case when call = call_before then granted_before else size end)::bigint as granted,
       (available + back - size)::bigint as available, (leased - unspent)::bigint as elsewhere,
       (given_before + back)::bigint as returned
  from sized
"""

_CLOSE = """
insert into credit_holder as h (id, closed_at) select id, now() from unnest($1::uuid[]) as u (id) order by id
    on conflict (id) do update set closed_at = coalesce(h.closed_at, excluded.closed_at)
"""
_UNSPENT = """
select distinct organization_id from credit_lease
 where holder_id = any($1::uuid[]) and amount_micro > spent_micro + returned_micro
"""
_GIVE_BACK = """
with rest as (
  select id, organization_id, amount_micro - spent_micro - returned_micro as unspent from credit_lease
   where holder_id = any($1::uuid[]) and amount_micro > spent_micro + returned_micro
), back as (
  update credit_lease l set returned_micro = l.returned_micro + rest.unspent from rest where l.id = rest.id
)
select organization_id, sum(unspent)::bigint as unspent from rest group by organization_id
"""
_UNHOLD = """
update credit_account a set leased_micro = a.leased_micro - d.leased, reserved_micro = a.reserved_micro - d.reserved
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as d (organization_id, leased, reserved)
 where a.organization_id = d.organization_id
"""


class HolderClosed(Exception):  # noqa: N818  says what is so
    """The holder's journal is over, or an operator gave its credits back: it gets nothing any more."""


class Ask(NamedTuple):
    """What a worker wants of one organization's credits. Amounts in micro-credits.

    `call` grows with every ask of the worker; the same ask again, when the answer was lost, counts once. `need`: what
    the waiting requests lack, `least`: what the cheapest of them lacks, `want`: what would be good to have. `returned`:
    what was given back in all; None leaves it as it stands. `recall`: ask the others if it is not enough.
    """

    organization_id: UUID
    call: int
    need: int = 0
    least: int = 0
    want: int = 0
    returned: int | None = None
    recall: bool = False


class Granted(NamedTuple):
    """The answer. `available`: what nobody holds; `elsewhere`: what others hold, spent and not posted included."""

    organization_id: UUID
    granted: int
    available: int
    elsewhere: int
    returned: int


async def enter(connection: Any, holder_id: UUID) -> None:
    """Note a holder, before its first ask. Harmless if it is there."""
    await connection.execute(_ADD_HOLDER, holder_id)


async def admit_holder(connection: Any, holder_id: UUID) -> None:
    """Keep the holder open until the caller's transaction ends. Raises HolderClosed."""
    open_ = await connection.fetchval(_HOLDER, holder_id)
    if open_ is None:
        await enter(connection, holder_id)
        open_ = await connection.fetchval(_HOLDER, holder_id)
    if not open_:
        raise HolderClosed(f"the credits of {holder_id} were given back")


async def grant(connection: Any, holder_id: UUID, asks: Sequence[Ask]) -> list[Granted]:
    """One transaction for asks of different organizations. An organization whose account is busy at this moment has no
    answer: ask again. Raises HolderClosed.
    """
    async with connection.transaction():
        await admit_holder(connection, holder_id)
        wanted = [ask.organization_id for ask in asks]
        locked = {row["organization_id"] for row in await connection.fetch(_LOCK, wanted)}
        if locked:
            await expire_due(connection, locked)
        here = [ask for ask in asks if ask.organization_id in locked]
        rows = await connection.fetch(_GRANT, holder_id, *_columns(here)) if here else []
        answers = [Granted(*row) for row in rows]
        by_id = {answer.organization_id: answer for answer in answers}
        dry = [ask for ask in here if ask.recall and by_id[ask.organization_id].granted < ask.need]
        await notify(connection, holder_id, [a.organization_id for a in dry if by_id[a.organization_id].elsewhere > 0])
        missing = [each for each in wanted if each not in locked]
        if missing:
            busy = {row["organization_id"] for row in await connection.fetch(_EXIST, missing)}
            answers += [Granted(each, 0, 0, 0, 0) for each in missing if each not in busy]
    return answers


async def notify(connection: Any, holder_id: UUID, organization_ids: Iterable[UUID]) -> None:
    """Ask every holder but this one to give back what is unspent of these organizations' credits."""
    payloads = [f"{holder_id.hex} {each.hex}" for each in organization_ids]
    if payloads:
        await connection.execute("select pg_notify($1, p) from unnest($2::text[]) as u (p)", CHANNEL, payloads)


async def close_holders(connection: Any, holder_ids: Iterable[UUID]) -> None:
    """They are granted nothing from the end of this transaction on. Before any account is locked."""
    await connection.execute(_CLOSE, list(holder_ids))


async def organizations_of(connection: Any, holder_ids: Iterable[UUID]) -> set[UUID]:
    """Of whose credits these holders have something unspent."""
    return {row["organization_id"] for row in await connection.fetch(_UNSPENT, list(holder_ids))}


async def give_back(connection: Any, holder_ids: Iterable[UUID]) -> dict[UUID, int]:
    """End the leases of closed holders whose accounts are locked: what comes back of each organization's credits.

    The caller takes it out of the accounts (`unhold`).
    """
    return {row["organization_id"]: row["unspent"] for row in await connection.fetch(_GIVE_BACK, list(holder_ids))}


async def unhold(connection: Any, amounts: Mapping[UUID, tuple[int, int]]) -> None:
    """Take so much out of what is leased and what is reserved of locked accounts: it is available again."""
    if amounts:
        leased, reserved = zip(*amounts.values(), strict=True)
        await connection.execute(_UNHOLD, list(amounts), list(leased), list(reserved))


def _columns(asks: Sequence[Ask]) -> list[list[Any]]:
    return [list(column) for column in zip(*(ask[:6] for ask in asks), strict=True)]

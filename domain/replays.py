"""Requests under an Idempotency-Key in PostgreSQL: the first one claims the key, what came of it is kept for repeats.

A claim is a row in the state `running` under the request's id. It ends once, by whoever served the request (`finish`,
`forget`), or with the end of that worker's journal (`close_running`). So nothing runs or is charged twice under a key:
a key is free again only where nothing was charged.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.credits.leasing import admit_holder

Fields = Sequence[tuple[bytes, bytes]]

TRY_AGAIN = frozenset((408, 425, 429))
"""Statuses of an API that mean: the same once more, later. Not kept, unless they were charged."""
_TURNS = 3

# The holder's row is locked until the claim is there, so that the end of its journal finds it.
_CLAIM = """
with living as (select id from credit_holder where id = $4 and closed_at is null for share)
insert into idempotent_request as r
       (id, organization_id, operation_id, holder_id, idempotency_key, fingerprint, state, expires_at)
select $1::uuid, $2::uuid, $3::uuid, living.id, $5::text, $6::bytea, 'running', now() + make_interval(hours => $7)
  from living
    on conflict on constraint uq_idempotent_request_organization_id_idempotency_key do update
   set id = excluded.id, created_at = now(), operation_id = excluded.operation_id, holder_id = excluded.holder_id,
       fingerprint = excluded.fingerprint, state = 'running', status = null, headers = null, body = null,
       expires_at = excluded.expires_at
 where r.expires_at < now() and r.state = 'done'
returning id
"""
_EARLIER = """
select id, state, fingerprint, status, headers, body from idempotent_request
 where organization_id = $1 and idempotency_key = $2 and (state = 'running' or expires_at >= now())
"""
_FINISH = """
update idempotent_request
   set state = 'done', fingerprint = $2, status = $3, headers = $4, body = $5,
       expires_at = now() + make_interval(hours => $6)
 where id = $1 and state = 'running'
"""
_FORGET = "delete from idempotent_request where id = any($1::uuid[]) and state = 'running'"
_RUNNING = "select id from idempotent_request where holder_id = any($1::uuid[]) and state = 'running'"
_RECORDED = "select id, status, outcome, cost_micro from request_log where id = any($1::uuid[])"
_NOT_KEPT = """
update idempotent_request r set state = 'done', status = s.status, headers = null, body = null
  from unnest($1::uuid[], $2::smallint[]) as s (id, status) where r.id = s.id and r.state = 'running'
"""
_EXPIRE = """
delete from idempotent_request where id in (
  select id from idempotent_request where expires_at < $1 and state = 'done' order by expires_at limit $2
     for update skip locked)
"""


class Claim(NamedTuple):
    """What a request asks for: `fingerprint` is of as much of it as is known before its body is read."""

    id: UUID
    organization_id: UUID
    operation_id: UUID
    key: str
    fingerprint: bytes


class Outcome(NamedTuple):
    """What came of a request. Without a `body` (None) the answer is not kept; `fingerprint` as far as it was read."""

    fingerprint: bytes
    status: int
    fields: Fields = ()
    body: bytes | None = None


class Earlier(NamedTuple):
    """The request that claimed the key before. `outcome` is None while it runs."""

    id: UUID
    outcome: Outcome | None


def fingerprint_of(method: bytes, target: bytes) -> "hashlib._Hash":
    """SHA-256 of a request, up to its body: what follows is added to it. Neither text has a space in it."""
    return hashlib.sha256(b"%b %b " % (method, target))


def is_final(status: int, *, charged: bool, whole: bool) -> bool:
    """Whether repeats must not run again: it was charged, or the API has said once and for all what it says to it.

    `whole`: request and answer came to their ends.
    """
    return charged or (whole and status < 500 and status not in TRY_AGAIN)


async def claim(connection: Any, holder_id: UUID, wanted: Claim, hours: int) -> Earlier | None:
    """Claim the key for `hours`; None: it is claimed. Made twice, it claims once. Raises HolderClosed."""
    for _ in range(_TURNS):
        made = await connection.fetchval(
            _CLAIM,
            wanted.id,
            wanted.organization_id,
            wanted.operation_id,
            holder_id,
            wanted.key,
            wanted.fingerprint,
            hours,
        )
        if made is not None:
            return None
        row = await connection.fetchrow(_EARLIER, wanted.organization_id, wanted.key)
        if row is not None:
            return None if row["id"] == wanted.id else Earlier(row["id"], _outcome(row))
        # Nobody has it: the holder is new or closed, or somebody gave the key back just now.
        async with connection.transaction():
            await admit_holder(connection, holder_id)
    return Earlier(wanted.id, None)


async def finish(connection: Any, request_id: UUID, outcome: Outcome, hours: int) -> bool:
    """Keep what came of it for `hours` from now. Harmless if its claim has ended: then False."""
    fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in outcome.fields]
    done: str = await connection.execute(
        _FINISH, request_id, outcome.fingerprint, outcome.status, json.dumps(fields), outcome.body, hours
    )
    return done != "UPDATE 0"


async def forget(connection: Any, request_ids: Iterable[UUID]) -> None:
    """End these claims as if they had never been. Harmless for those that have ended."""
    await connection.execute(_FORGET, list(request_ids))


async def close_running(connection: Any, holder_ids: Iterable[UUID], *, lost: bool = False) -> None:
    """End the claims of closed holders: what their records say was charged or served is done, its answer not kept; the
    others are forgotten. Whose journal is `lost` for ever may have been charged: then all are done.
    """
    running = [row["id"] for row in await connection.fetch(_RUNNING, list(holder_ids))]
    if not running:
        return
    done = dict.fromkeys(running, 0) if lost else {}
    for row in await connection.fetch(_RECORDED, running):
        charged = row["cost_micro"] > 0 or (row["outcome"] == "gone" and 200 <= row["status"] < 400)
        if is_final(row["status"], charged=charged, whole=row["outcome"] == "served"):
            done[row["id"]] = row["status"]
    await connection.execute(_NOT_KEPT, list(done), list(done.values()))
    await forget(connection, running)


async def expire(connection: Any, now: datetime, most: int = 1_000) -> int:
    """Forget what has expired, up to `most` of it; how many. Run again while it is `most`.

    What runs stays: it ends with its request, or with its worker's journal.
    """
    return int((await connection.execute(_EXPIRE, now, most)).split()[-1])


def _outcome(row: Any) -> Outcome | None:
    if row["state"] == "running":
        return None
    stored = json.loads(row["headers"]) if row["headers"] is not None else []
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in stored]
    return Outcome(row["fingerprint"], row["status"], fields, row["body"])

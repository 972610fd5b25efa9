"""How the chain stands, at a glance: what waits, and whether its last link is sound. Costs the same at any length."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.audit_chain.encoding import DAY, GENESIS, TEXTS, content_of, link_hash

MOST_COUNTED = 10_000

_STANDING = """
select (select count(*) from (select from audit_unsealed limit $1) as u) as waiting,
       (select created_at from audit_unsealed order by id limit 1) as waiting_since,
       (select last_position from audit_seal order by last_position desc limit 1) as sealed
"""
_LAST = f"""
select l.position, {DAY.format("l")}, extract(epoch from l.created_at)::text as sealed_at, l.hash,
       before.hash as before, {TEXTS} as texts, e.id is not null as there, s.head
  from (select * from audit_link order by position desc limit 1) as l
  left join audit_link before on before.position = l.position - 1
  left join audit_entry e on e.id = l.entry_id
  left join audit_seal s on s.last_position = l.position
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """`waiting` entries have no link yet, counted up to MOST_COUNTED; the oldest was written at `waiting_since`.

    `sound`: the last link, its entry and its seal belong together. It says nothing of those before; `verify` does.
    """

    position: int
    head: str
    waiting: int
    waiting_since: datetime | None
    sound: bool


async def read_standing(connection: Any) -> Standing:
    """How it stands now."""
    row = await connection.fetchrow(_STANDING, MOST_COUNTED)
    last = await connection.fetchrow(_LAST)
    if last is None:
        return Standing(0, GENESIS.hex(), row["waiting"], row["waiting_since"], sound=row["sealed"] is None)
    before = last["before"] if last["position"] > 1 else GENESIS
    sound = (
        last["there"]
        and before is not None
        and last["head"] == last["hash"]
        and row["sealed"] == last["position"]
        and link_hash(before, last["position"], last["day"], last["sealed_at"], content_of(last["texts"]))
        == last["hash"]
    )
    return Standing(last["position"], last["hash"].hex(), row["waiting"], row["waiting_since"], sound=sound)

"""Proof that the ledger adds up: every balance against what it is made of, over the whole database, in one snapshot.

Nothing is changed. Whatever does not agree is named: the organization, what, how much it should be and is.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.credits.checks import CHECKS, COUNTS
from domain.credits.old_usage_checks import check_dropped, dropped_usage
from domain.credits.usage_checks import KEPT_SINCE, USAGE_CHECK, USAGE_CHECKED
from domain.log_store.clickhouse import LogStoreAway, LogStoreRefused
from domain.log_store.store import POSTGRES, LogStore

_AWAY = "The log store does not answer: usage of days that PostgreSQL has dropped was not compared with its requests."


@dataclass(frozen=True, slots=True)
class Drift:
    """Something of an organization that is not what it should be, in micro-credits or in what `what` counts.

    Log rows with a cost that belong to nobody have no organization: `-` and None.
    """

    organization: str
    organization_id: UUID | None
    what: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared, and what did not agree. Usage entries whose log rows are no longer kept cannot be checked.

    `not_compared` says in words what could have been and was not; empty: nothing.
    """

    accounts: int
    entries: int
    grants: int
    leases: int
    reservations_held: int
    usage_entries: int
    usage_entries_checked: int
    drifts: list[Drift]
    not_compared: str = ""


async def reconcile(connection: Any, logs: LogStore = POSTGRES) -> Reconciliation:
    """Compare everything. Keeps nobody but the drop of log days waiting. `connection` is in no transaction."""
    not_compared = ""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        try:
            old = await dropped_usage(connection, logs)
            old_checked, old_found = await check_dropped(connection, old) if old else (0, [])
        except (LogStoreAway, LogStoreRefused, TimeoutError):
            old, old_checked, old_found, not_compared = None, 0, [], _AWAY
        counts = await connection.fetchrow(COUNTS)
        kept_since = old.until if old else await connection.fetchval(KEPT_SINCE)
        checked = await connection.fetchval(USAGE_CHECKED, kept_since)
        found = [row for check in CHECKS for row in await connection.fetch(check)]
        found += await connection.fetch(USAGE_CHECK, kept_since)
        found += [one._asdict() for one in old_found]
        names = await _slugs(connection, list({row["organization_id"] for row in found}))
    drifts = [
        Drift(
            names.get(row["organization_id"], "-"), row["organization_id"], row["what"], row["expected"], row["found"]
        )
        for row in found
    ]
    return Reconciliation(
        **dict(counts),
        usage_entries_checked=checked + old_checked,
        drifts=sorted(drifts, key=lambda drift: (drift.organization, drift.what)),
        not_compared=not_compared,
    )


async def _slugs(connection: Any, organization_ids: list[UUID]) -> dict[UUID, str]:
    rows = await connection.fetch("select id, slug from organization where id = any($1::uuid[])", organization_ids)
    return {row["id"]: row["slug"] for row in rows}

"""Moving an older installation over: its plans, then its clients with their keys, a batch in each transaction.

What a run has done is noted in `legacy_row`, so that the next one goes on behind it and changes nothing of it.
"""

import contextlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from domain import audit
from domain.faults import Conflict, InvalidValue
from domain.legacy.batches import Batch, decide
from domain.legacy.keys import Rules
from domain.legacy.notes import Note
from domain.legacy.old_database import OldDatabase, opened
from domain.legacy.old_rows import Group
from domain.legacy.plans import PlanHere, PlanImport
from domain.legacy.report import Line, Totals
from domain.legacy.reset_links import count_waiting, send_links
from domain.legacy.writing import write
from domain.names import valid_slug
from domain.settings import Settings

IMPORT_LOCK = 7_236_118_048
"""Advisory lock (session scope) of the one import that may run."""
CLIENTS_AT_ONCE, KEYS_AT_ONCE = 200, 1_000
"""A batch ends with whichever is reached first."""
SCOPES = ("key", "organization")
Tell = Callable[[list[Line]], None]


@dataclass(frozen=True, slots=True)
class Options:
    """`source` names the older installation; `plans` are old plan ids and the slugs that stand for them here.

    `per`: whether a plan's limits are for each key, as in the older installation, or shared by the organization.
    """

    source: str = "v1"
    plans: Mapping[str, str] = field(default_factory=dict)
    per: str = "key"
    dry_run: bool = False
    send_reset_links: bool = False


async def import_legacy(
    connection: Any, settings: Settings, dsn: str, actor: audit.Actor, options: Options, tell: Tell
) -> Totals:
    """Import what is not here yet. `tell` gets each batch's lines once it is stored; a dry run stores nothing.

    Raises InvalidValue, NotFound (a plan), Conflict, LegacyUnreachable, LegacyMismatch.
    """
    valid_slug(options.source)
    if options.per not in SCOPES:
        raise InvalidValue("Limits are per key or per organization.")
    if not await connection.fetchval("select pg_try_advisory_lock($1)", IMPORT_LOCK):
        raise Conflict("Another import is running on this database; wait for its end.")
    try:
        async with opened(dsn) as old:
            return await _Run(connection, settings, old, actor, options, tell).run()
    finally:
        with contextlib.suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
            await connection.execute("select pg_advisory_unlock($1)", IMPORT_LOCK)


class _Run:
    """One import under its lock, on one snapshot of the older database."""

    def __init__(
        self, connection: Any, settings: Settings, old: OldDatabase, actor: audit.Actor, options: Options, tell: Tell
    ) -> None:
        self._connection, self._settings, self._old = connection, settings, old
        self._actor, self._options, self._tell = actor, options, tell
        self._totals = Totals()
        self._slugs: set[str] = set()
        self._new_owners: set[str] = set()

    async def run(self) -> Totals:
        """All of it; the sums."""
        rules = await self._rules()
        groups: list[Group] = []
        keys = 0
        async with aclosing(self._old.groups()) as found:
            async for group in found:
                groups.append(group)
                keys += len(group.keys)
                if len(groups) >= CLIENTS_AT_ONCE or keys >= KEYS_AT_ONCE:
                    await self._import(groups, rules)
                    groups, keys = [], 0
        await self._import(groups, rules)
        self._totals.count("request_logs", await self._old.count("request_logs"), Note.RETENTION)
        self._totals.count("log_summaries", await self._old.count("log_summaries"), Note.NO_SUMMARIES)
        await self._mail()
        return self._totals

    async def _rules(self) -> Rules:
        """Import the plans; what is known before the first client."""
        options = self._options
        plans = PlanImport(
            self._connection,
            self._actor,
            source=options.source,
            mapped=options.plans,
            per=options.per,
            repeated=await self._old.repeated("plans", "plan_id"),
            dry_run=options.dry_run,
        )
        self._told(await plans.run(await self._old.plans()))
        return Rules(
            source=options.source,
            now=await self._connection.fetchval("select now()"),
            plans=plans.found,
            plan_ids=frozenset(plans.ids),
            repeated_keys=await self._old.repeated("api_keys", "key_id"),
            repeated_clients=await self._old.repeated("clients", "client_id"),
            same_hashes=await self._old.same_hashes(),
            same_emails=await self._old.same_emails(),
            begin_plan=await self._begin_plan(),
        )

    async def _begin_plan(self) -> PlanHere | None:
        row = await self._connection.fetchrow(
            "select id, slug from plan where slug = $1 and active", self._settings.portal.sign_up_plan
        )
        return None if row is None else PlanHere(row["id"], row["slug"], (0, 0))

    async def _import(self, groups: list[Group], rules: Rules) -> None:
        batch: Batch = await decide(self._connection, groups, rules, self._slugs)
        if not self._options.dry_run and not batch.empty:
            await write(self._connection, self._actor, self._options.source, batch)
        self._new_owners |= batch.new_owners
        self._told(batch.lines)

    async def _mail(self) -> None:
        options = self._options
        if not options.send_reset_links:
            return
        if options.dry_run:
            waiting = await count_waiting(self._connection, options.source)
            self._totals.reset_links = waiting + len(self._new_owners)
        else:
            self._totals.reset_links = await send_links(self._connection, self._settings, options.source)

    def _told(self, lines: list[Line]) -> None:
        for line in lines:
            self._totals.add(line)
        self._tell(lines)

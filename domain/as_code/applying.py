"""Apply a file: what differs, in one transaction, audited and kept; or only say what would change."""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from domain.as_code import history
from domain.as_code.appointing import Appointing, write_operators
from domain.as_code.carrying_out import write_changes
from domain.as_code.checking import mistakes_of
from domain.as_code.differences import Change, Differences, differences_of
from domain.as_code.documents import Document, state_of
from domain.as_code.mistakes import Mistaken
from domain.as_code.parsing import parse_document
from domain.as_code.present import read_present
from domain.as_code.writing import write_document
from domain.audit import Actor, Thing, Verb, Written, record_many

APPLY_LOCK = 7_236_118_006
"""Advisory lock (transaction scope) that one applying process holds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What differed. `applied_id` is the row of the history; None where nothing was written.

    `changed_meanwhile`: the database is not what the file was exported from, so differences may be others' changes.
    """

    differences: Differences
    applied_id: UUID | None
    changed_meanwhile: bool


async def export(connection: Any) -> str:
    """The whole configuration as YAML; applied to the same database it makes no difference."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        present = await read_present(connection)
    present.exported_state = state_of(present)
    return write_document(present)


async def apply(
    connection: Any,
    text: str,
    actor: Actor,
    *,
    dry_run: bool = False,
    prune: bool = False,
    at_once: bool = False,
    verb: Verb = Verb.CONFIG_APPLY,
    reason: str = "",
    appointing: Appointing | None = None,
) -> Outcome:
    """Make the database what the text says, all or nothing; `dry_run` tries it and takes it back.

    Who has subscribed keeps the terms until the period ends, unless `at_once`. `prune` disables what the text does not
    name. Without `appointing`, what it says of operators is left out. Raises Mistaken with all that is wrong in the text.
    """
    document = parse_document(text)
    if appointing is None:
        document = document.without_operators()
    whole = connection.transaction()
    await whole.start()
    try:
        await connection.execute("select pg_advisory_xact_lock($1)", APPLY_LOCK)
        outcome = await _applied(
            connection, document, text, actor, appointing,
            dry_run=dry_run, prune=prune, at_once=at_once, verb=verb, reason=reason,
        )  # fmt: skip
    except BaseException:
        await whole.rollback()
        raise
    if dry_run:
        await whole.rollback()
    else:
        await whole.commit()
    return outcome


async def _applied(
    connection: Any,
    document: Document,
    text: str,
    actor: Actor,
    appointing: Appointing | None,
    *,
    dry_run: bool,
    prune: bool,
    at_once: bool,
    verb: Verb,
    reason: str,
) -> Outcome:
    present = await read_present(connection)
    if mistakes := mistakes_of(document, present):
        raise Mistaken(mistakes)
    differences = differences_of(document, present, prune=prune)
    before = state_of(present)
    last = await history.latest(connection)
    meanwhile = bool(differences.changes) and _moved(document, before, last)
    if not differences.changes:
        return Outcome(differences, None, changed_meanwhile=False)
    refused = await write_changes(connection, differences.changes, document, present, at_once=at_once)
    if appointing is not None:
        operators = [change for change in differences.changes if change.id[0] == "operator"]
        refused += await write_operators(connection, operators, document, appointing, actor, reason)
    if refused:
        raise Mistaken(refused)
    if dry_run:
        return Outcome(differences, None, meanwhile)
    if last is None or last.summary.get("state") != before:
        found = {"kind": "found", "changes": 0, "state": before}
        await history.keep(connection, actor_name="", text=write_document(present), summary=found)
    kind = verb.value.rpartition(".")[2]
    after = {"kind": kind, "changes": len(differences.changes), "state": state_of(await read_present(connection))}
    after["exported_state"] = document.exported_state
    applied_id = await history.keep(connection, actor_name=actor.name, text=text, summary=after)
    entries = [_entry(change, applied_id) for change in differences.changes]
    await record_many(connection, actor, verb, entries, reason=reason)
    return Outcome(differences, applied_id, meanwhile)


def _moved(document: Document, state: str, last: history.AppliedConfig | None) -> bool:
    """Whether others changed something since the export; what this same file changed when it was applied is not meant."""
    exported = document.exported_state
    own = last is not None and last.summary.get("state") == state and last.summary.get("exported_state") == exported
    return bool(exported) and exported != state and not own


def _entry(change: Change, applied_id: UUID) -> Written:
    name = " ".join(change.id[1:])
    before = {each.field: each.before for each in change.fields}
    after = {**{each.field: each.after for each in change.fields}, "how": change.how, "config": str(applied_id)}
    return Written(Thing(change.id[0], name, name), before, after)


async def foresee_roll_back(
    connection: Any, applied_id: UUID, *, prune: bool = False, operators: bool = False
) -> Differences:
    """What going back to a text of the history would change now, of `operators` too; only reads. Raises NotFound, Mistaken."""
    # A large file takes a third of a second: beside the event loop, and once, as its text never changes.
    document = await asyncio.to_thread(_kept_document, await history.text_of_applied(connection, applied_id))
    if not operators:
        document = document.without_operators()
    present = await read_present(connection)
    if mistakes := mistakes_of(document, present):
        raise Mistaken(mistakes)
    return differences_of(document, present, prune=prune)


@lru_cache(maxsize=4)
def _kept_document(text: str) -> Document:
    """Only to be read."""
    return parse_document(text)


async def roll_back(
    connection: Any,
    applied_id: UUID,
    actor: Actor,
    *,
    dry_run: bool = False,
    prune: bool = False,
    at_once: bool = False,
    reason: str = "",
    appointing: Appointing | None = None,
) -> Outcome:
    """Apply a text of the history again. Raises NotFound; Mistaken when it no longer can be applied."""
    text = await history.text_of_applied(connection, applied_id)
    return await apply(
        connection, text, actor,
        dry_run=dry_run, prune=prune, at_once=at_once, verb=Verb.CONFIG_ROLLBACK, reason=reason, appointing=appointing,
    )  # fmt: skip

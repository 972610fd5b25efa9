"""A batch of clients with their keys: looked up together, decided one by one, written in one transaction."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.legacy.clients import TABLE as CLIENTS
from domain.legacy.clients import NewOrganization, decide_client, email_of, fault_of, slugs_for
from domain.legacy.here import Here, Known, look
from domain.legacy.keys import TABLE as KEYS
from domain.legacy.keys import NewKey, Rules, decide_key, digest_of
from domain.legacy.notes import Note, Outcome
from domain.legacy.old_rows import CLIENT_COLUMNS, KEY_COLUMNS, Group, OldClient, OldKey, changed_columns
from domain.legacy.plans import PlanHere
from domain.legacy.readable import id_here, usable_id
from domain.legacy.report import Line
from schema.legacy import LegacyKind

SHOWN_ID = 40
"""Characters of an id that cannot be one."""


@dataclass(slots=True)
class Batch:
    """What is to be written: organizations, and keys with the id of their organization. `lines` say what becomes of all.

    `new_owners` are the addresses of people who are not here yet.
    """

    organizations: list[NewOrganization] = field(default_factory=list)
    keys: list[tuple[UUID, NewKey]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    new_owners: set[str] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.organizations and not self.keys


async def decide(connection: Any, groups: list[Group], rules: Rules, taken: set[str]) -> Batch:
    """Everything about these groups. Only reads; `taken` are slugs that this run has given away."""
    here = await _look(connection, groups, rules)
    batch = Batch()
    for group in groups:
        _decide_group(group, rules, here, taken, batch)
    return batch


async def _look(connection: Any, groups: list[Group], rules: Rules) -> Here:
    clients = {
        group.client.id: (group.client, id_here(rules.source, LegacyKind.CLIENT, group.client.id))
        for group in groups
        if group.client is not None and group.client.id is not None and usable_id(group.client.id)
    }
    keys = [key for group in groups for key in group.keys]
    return await look(
        connection,
        rules.source,
        clients={old_id: new_id for old_id, (_, new_id) in clients.items()},
        keys={key.id: id_here(rules.source, LegacyKind.KEY, key.id) for key in keys if key.id and usable_id(key.id)},
        digests=[digest for key in keys if (digest := digest_of(key)) is not None],
        slugs={slug for client, new_id in clients.values() for slug in slugs_for(client, new_id)},
        emails={email for client, _ in clients.values() if (email := email_of(client)) is not None},
    )


def _decide_group(group: Group, rules: Rules, here: Here, taken: set[str], batch: Batch) -> None:
    fresh = _without_known_keys(group, here, batch)
    verdicts = [(key, decide_key(key, rules, here)) for key in fresh]
    client = group.client
    if client is None:
        _skip_keys(verdicts, Note.CLIENT_MISSING, batch)
        return
    known = here.clients.get(client.id or "")
    if known is not None:
        _line_of_known_client(client, known, batch)
        _keys_of_known_client(verdicts, known, here, batch)
        return
    usable = [verdict for _, verdict in verdicts if isinstance(verdict, NewKey)]
    made: NewOrganization | Note = fault_of(client, rules, here) or decide_client(
        client, usable, rules, here, taken, any_key=bool(group.keys)
    )
    if isinstance(made, Note):
        batch.lines.append(Line(CLIENTS, (client.id or "")[:SHOWN_ID], Outcome.SKIPPED, (made,)))
        _skip_keys(verdicts, Note.CLIENT_SKIPPED, batch)
        return
    batch.organizations.append(made)
    if made.email is not None and made.email not in here.users:
        batch.new_owners.add(made.email)
    batch.lines.append(Line(CLIENTS, client.id or "", Outcome.IMPORTED, made.notes, here=made.slug))
    _take_keys(verdicts, made.id, made.plan, batch)


def _without_known_keys(group: Group, here: Here, batch: Batch) -> list[OldKey]:
    """Those that were not imported before; the others get their lines."""
    fresh = []
    for key in group.keys:
        known = here.keys.get(key.id or "")
        if known is None:
            fresh.append(key)
            continue
        changed = tuple(changed_columns(KEY_COLUMNS, known.fingerprint, key.fingerprint))
        outcome = Outcome.CHANGED if changed else Outcome.PRESENT
        batch.lines.append(Line(KEYS, key.id or "", outcome, changed=changed))
    return fresh


def _line_of_known_client(client: OldClient, known: Known, batch: Batch) -> None:
    changed = tuple(changed_columns(CLIENT_COLUMNS, known.fingerprint, client.fingerprint))
    outcome = Outcome.CHANGED if changed else Outcome.PRESENT
    batch.lines.append(Line(CLIENTS, client.id or "", outcome, changed=changed))


def _keys_of_known_client(verdicts: list[tuple[OldKey, NewKey | Note]], known: Known, here: Here, batch: Batch) -> None:
    if known.new_id in here.closed:
        _skip_keys(verdicts, Note.ORGANIZATION_CLOSED, batch)
    else:
        _take_keys(verdicts, known.new_id, None, batch)


def _take_keys(
    verdicts: list[tuple[OldKey, NewKey | Note]], organization_id: UUID, plan: PlanHere | None, batch: Batch
) -> None:
    for key, verdict in verdicts:
        if isinstance(verdict, Note):
            batch.lines.append(_skipped(key, verdict))
            continue
        batch.keys.append((organization_id, verdict))
        other = plan is not None and plan.slug != verdict.plan.slug
        notes = (*verdict.notes, *([Note.OTHER_PLAN] if other else []))
        batch.lines.append(Line(KEYS, key.id or "", Outcome.IMPORTED, notes, here=verdict.prefix))


def _skip_keys(verdicts: list[tuple[OldKey, NewKey | Note]], why: Note, batch: Batch) -> None:
    # Why the key itself would be skipped says more than why its client was.
    batch.lines += [_skipped(key, verdict if isinstance(verdict, Note) else why) for key, verdict in verdicts]


def _skipped(key: OldKey, why: Note) -> Line:
    return Line(KEYS, (key.id or "")[:SHOWN_ID] if not usable_id(key.id) else key.id or "", Outcome.SKIPPED, (why,))

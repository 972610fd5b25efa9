"""Actions that stop keys for ever: one, all of an organization, all that stand in a text that leaked."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import model_validator

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.minting import KEY, Named, to_key
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.actions.wording import counted, to_organization, utc
from admin.web.visit import Visit
from domain.faults import Conflict
from domain.key_records import KeyRecord
from domain.operating import keys
from domain.operating.keys import BY_US, LEAKED
from domain.operating.leaked_keys import (
    MOST_LINES,
    Finding,
    find_leaked,
    findings_from_text,
    findings_to_text,
)
from domain.operators import Right
from domain.organizations import fetch_organization

SHOWN = 200
"""Keys that a preview names one by one."""
_REFUSED = "Requests with them are refused with 401 within a second, for good. Who handles keys there is told by mail."


class OneKey(Values):
    """Which key."""

    key: Named


class AllKeys(Values):
    """Of which organization."""

    organization: Slug


class LeakedList(Values):
    """The text that leaked, or what was found in it: the second form brings no secret back."""

    text: str = ""
    found: str = ""

    @model_validator(mode="after")
    def one_of_both(self) -> "LeakedList":
        """Raise ValueError without either."""
        if not self.text and not self.found:
            raise ValueError("Paste the lines.")
        return self


async def _preview_one(visit: Visit, values: OneKey) -> Preview:
    key = await keys.find_key(visit.connection, values.key)
    if key.revoked_at is not None:
        raise Conflict(f"{key.name} was revoked on {utc(key.revoked_at)}.")
    return Preview(
        (f"{_named(key)} is stopped for ever. {_REFUSED}",),
        (("State", key.state, "revoked"),),
        notes=(f"Last used: {utc(key.last_used_at)}.",),
    )


async def _revoke_one(visit: Visit, values: OneKey, reason: str) -> Outcome:
    key = await keys.find_key(visit.connection, values.key)
    await keys.revoke(visit.connection, visit.settings, visit.actor, [key.id], said=BY_US, reason=reason)
    again = ("Mint a new one", f"/actions/mint-key?organization={key.organization_slug}")
    return Outcome(f"{_named(key)} is revoked.", (*to_key(key), again))


async def _preview_all(visit: Visit, values: AllKeys) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    theirs = await keys.unrevoked(visit.connection, found.id, most=SHOWN)
    if not theirs:
        raise Conflict(f"{found.name} has no key that is not revoked.")
    number = await keys.count_unrevoked(visit.connection, found.id)
    more = (f"and {number - SHOWN:,} more",) if number > SHOWN else ()
    return Preview(
        (f"All {counted(number, 'key')} of {found.name} are stopped for ever. {_REFUSED}", *more),
        tuple((f"{key.name} {key.prefix}\u2026{key.last4}", key.state, "revoked") for key in theirs),
        ("If they shall only be stopped for a time, suspend the organization instead.",),
    )


async def _revoke_all(visit: Visit, values: AllKeys, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    ids = [key.id for key in await keys.unrevoked(visit.connection, found.id)]
    stopped = await keys.revoke(visit.connection, visit.settings, visit.actor, ids, said=BY_US, reason=reason)
    return Outcome(f"{counted(len(stopped), 'key')} of {found.name} revoked.", to_organization(found))


async def _findings(visit: Visit, values: LeakedList) -> tuple[tuple[Finding, ...], dict[UUID, KeyRecord]]:
    if values.text:
        findings = await find_leaked(visit.connection, visit.settings.keys, values.text)
    else:
        findings = findings_from_text(values.found)
    ids = [each.key_id for each in findings if each.key_id is not None]
    return findings, await keys.keys_by_id(visit.connection, ids)


async def _preview_leaked(visit: Visit, values: LeakedList) -> Preview:
    findings, known = await _findings(visit, values)
    living = {key.id for key in known.values() if key.revoked_at is None}
    unknown = sum(each.key_id not in known for each in findings)
    if not living:
        gone = f"{counted(len(known), 'key')} of ours, revoked before" if known else "no key of ours"
        raise Conflict(f"There is nothing to revoke: these lines hold {gone}.")
    owners = sorted({known[key_id].organization_slug for key_id in living})
    return Preview(
        (
            (
                f"Stopped for ever: {counted(len(living), 'key')} of {counted(len(owners), 'organization')}"
                f" ({', '.join(owners[:20])}). {_REFUSED}"
            ),
            f"{counted(unknown, 'line holds', 'lines hold')} no key of ours.",
            "The text that you pasted is forgotten already: this form carries the numbers of its lines and ids of keys.",
        ),
        tuple((f"Line {each.line}", *_states(each, known)) for each in findings),
        carried={"found": findings_to_text(findings)},
    )


def _states(finding: Finding, known: dict[UUID, KeyRecord]) -> tuple[str, str]:
    key = known.get(finding.key_id) if finding.key_id else None
    if key is None:
        return "no key of ours", "\u2013"
    name = f"{key.organization_slug}: {key.name} {key.prefix}\u2026{key.last4}"
    return f"{name}, {key.state}", "revoked" if key.revoked_at is None else f"since {utc(key.revoked_at)}"


async def _revoke_leaked(visit: Visit, values: LeakedList, reason: str) -> Outcome:
    findings, known = await _findings(visit, values)
    stopped = await keys.revoke(visit.connection, visit.settings, visit.actor, list(known), said=LEAKED, reason=reason)
    report = _report(findings, known, {key.id for key in stopped})
    return Outcome(f"{counted(len(stopped), 'leaked key')} revoked.", (("To the audit", "/audit"),), report=report)


def _report(findings: Sequence[Finding], known: dict[UUID, KeyRecord], stopped: set[UUID]) -> tuple[str, ...]:
    lines = []
    for each in findings:
        key = known.get(each.key_id) if each.key_id else None
        if key is None:
            lines.append(f"Line {each.line}: unknown")
        else:
            what = "revoked" if key.id in stopped else "already revoked"
            lines.append(f"Line {each.line}: {what}, {key.organization_slug}: {key.name} {key.prefix}\u2026{key.last4}")
    return tuple(lines)


def _named(key: KeyRecord) -> str:
    return f"The key {key.name} ({key.prefix}\u2026{key.last4}) of {key.organization_slug}"


ACTIONS = (
    Action(
        slug="revoke-key",
        title="Revoke a key",
        group="Keys",
        right=Right.SUPPORT,
        summary="One API key is stopped for ever.",
        model=OneKey,
        fields=(KEY,),
        preview=_preview_one,
        carry_out=_revoke_one,
        button="Revoke",
        danger=True,
    ),
    Action(
        slug="revoke-keys",
        title="Revoke all keys of an organization",
        group="Keys",
        right=Right.SUPPORT,
        summary="Every API key of one organization is stopped for ever.",
        model=AllKeys,
        fields=(ORGANIZATION,),
        preview=_preview_all,
        carry_out=_revoke_all,
        button="Revoke all",
        danger=True,
    ),
    Action(
        slug="revoke-leaked-keys",
        title="Revoke leaked keys",
        group="Keys",
        right=Right.SUPPORT,
        summary="Keys of ours that stand in a text, such as a leak's report, are found and stopped for ever.",
        model=LeakedList,
        fields=(
            Field(
                "text",
                "The text",
                "area",
                maxlength=200_000,
                secret=True,
                hint=f"At most {MOST_LINES} lines with whole keys anywhere in them. It is never kept or shown again.",
            ),
            Field("found", "Found in it", "hidden", required=False),
        ),
        preview=_preview_leaked,
        carry_out=_revoke_leaked,
        button="Revoke them",
        danger=True,
    ),
)

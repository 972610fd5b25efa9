"""What becomes of an older API key: it goes on working by its SHA-256, or there is a reason why not."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.catalog.key_reading import OUR_PREFIXES
from domain.faults import InvalidValue
from domain.key_format import ENVIRONMENTS
from domain.legacy.here import Here
from domain.legacy.notes import Note
from domain.legacy.old_rows import OldKey
from domain.legacy.plans import PlanHere
from domain.legacy.readable import NEVER, has_zone, id_here, moment, usable_id
from schema.legacy import LegacyKind

TABLE = "api_keys"
LONGEST_PREFIX = 20
ACTIVE, EXPIRED, REVOKED = "active", "expired", frozenset({"revoked", "deleted"})
REVOKED_REASON = "Revoked in the older installation"
ENVIRONMENT = ENVIRONMENTS[0]
_HASH = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, repr=False)
class NewKey:
    """A key as it will be here; `revoked_reason` None: it is not revoked."""

    old: OldKey
    id: UUID
    prefix: str
    digest: bytes
    expires_at: datetime | None
    revoked_reason: str | None
    plan: PlanHere
    notes: tuple[Note, ...]
    living: bool

    @property
    def name(self) -> str:
        """What its owners see; they can rename it."""
        return f"Imported key {self.prefix}".strip()


@dataclass(frozen=True, slots=True)
class Rules:
    """What is known of the whole older installation before its rows are looked at."""

    source: str
    now: datetime
    plans: Mapping[str, PlanHere]
    plan_ids: frozenset[str]
    repeated_keys: frozenset[str]
    repeated_clients: frozenset[str]
    same_hashes: Mapping[str, str | None]
    same_emails: frozenset[str]
    begin_plan: PlanHere | None


def digest_of(key: OldKey) -> bytes | None:
    """The 32 bytes of its hash, if it is one."""
    return bytes.fromhex(key.hash) if key.hash is not None and _HASH.fullmatch(key.hash) else None


def decide_key(key: OldKey, rules: Rules, here: Here) -> NewKey | Note:
    """The key as it will be here, or why it is skipped; its client is not looked at."""
    fault = _fault(key, rules, here)
    if fault is not None:
        return fault
    notes: list[Note] = []
    prefix = _prefix(key, notes)
    try:
        expires_at = _expiry(key, rules.now, notes)
    except InvalidValue:
        return Note.EXPIRY_UNREADABLE
    status = (key.status or "").strip().lower()
    revoked = status in REVOKED or (status == EXPIRED and Note.EXPIRED not in notes)
    if revoked:
        notes.append(Note.REVOKED)
    return NewKey(
        old=key,
        id=id_here(rules.source, LegacyKind.KEY, key.id or ""),
        prefix=prefix,
        digest=digest_of(key) or b"",
        expires_at=expires_at,
        revoked_reason=REVOKED_REASON if revoked else None,
        plan=rules.plans[key.plan_id or ""],
        notes=tuple(notes),
        living=not revoked and Note.EXPIRED not in notes,
    )


def _fault(key: OldKey, rules: Rules, here: Here) -> Note | None:
    digest = digest_of(key)
    status = (key.status or "").strip().lower()
    kept = rules.same_hashes.get((key.hash or "").lower(), key.id)
    checks = (
        (Note.ID_UNUSABLE, not usable_id(key.id)),
        (Note.ID_REPEATED, key.id in rules.repeated_keys),
        (Note.ID_TAKEN, id_here(rules.source, LegacyKind.KEY, key.id or "") in here.key_ids),
        (Note.HASH_INVALID, digest is None),
        (Note.HASH_SHARED, kept is None),
        (Note.HASH_REPEATED, kept != key.id),
        (Note.HASH_PRESENT, digest in here.digests),
        (Note.OWN_FORMAT, (key.prefix or "").encode("utf-8", "replace").startswith(OUR_PREFIXES)),
        (Note.STATUS_UNKNOWN_KEY, status not in {ACTIVE, EXPIRED} | REVOKED),
        (Note.PLAN_SKIPPED, key.plan_id in rules.plan_ids and key.plan_id not in rules.plans),
        (Note.PLAN_MISSING, key.plan_id not in rules.plans),
    )
    return next((note for note, applies in checks if applies), None)


def _prefix(key: OldKey, notes: list[Note]) -> str:
    given = key.prefix or ""
    # Somebody may have kept the whole key there: that must not be copied to where people see it.
    if hashlib.sha256(given.strip().encode("utf-8", "replace")).digest() == digest_of(key):
        notes.append(Note.PREFIX_IS_KEY)
        return ""
    shown = "".join(letter for letter in given if letter.isprintable()).strip()
    if len(shown) > LONGEST_PREFIX:
        notes.append(Note.PREFIX_CUT)
    return shown[:LONGEST_PREFIX].strip()


def _expiry(key: OldKey, now: datetime, notes: list[Note]) -> datetime | None:
    """When it ends; None: never. Raises InvalidValue."""
    text = (key.expires_at or "").strip()
    if key.expires_at is None or text == NEVER:
        return None
    read = moment(text)
    if not has_zone(text):
        notes.append(Note.TIME_WITHOUT_ZONE)
    if read <= now:
        notes.append(Note.EXPIRED)
    return read

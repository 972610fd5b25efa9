"""What dirty values mean: names, moments, amounts and ids of an older installation."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from domain.faults import InvalidValue
from domain.legacy.notes import Note
from domain.limit_texts import LARGEST_AMOUNT
from domain.names import NAME_LENGTH, valid_name

LONGEST_ID = 200
NAMESPACE = UUID("9f0f3a38-6d5c-4a9e-9a31-2f9e6f2c1d70")
"""Under which ids are made for rows whose own is no UUID."""
NEVER = "infinity"
_AMOUNT = re.compile(r"[+-]?[0-9]{1,40}(\.0*)?")


def id_here(source: str, kind: str, old_id: str) -> UUID:
    """The id that a row gets here: its own if that is a UUID as it is written, else always the same one for it."""
    try:
        if str(own := UUID(old_id)) == old_id:
            return own
    except ValueError:
        pass
    # Two texts can be one UUID, in capitals for example: they are two rows.
    return uuid5(NAMESPACE, f"{source}:{kind}:{old_id}")


def usable_id(old_id: str | None) -> bool:
    """Whether a row can be known by this id."""
    return bool(old_id) and len(old_id or "") <= LONGEST_ID


def readable_name(text: str | None, otherwise: str) -> tuple[str, list[Note]]:
    """A name that may stand here, and what had to be done to it; `otherwise` where there is none."""
    given = text or ""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in given).split())
    notes = [Note.NAME_CLEANED] if any(not letter.isprintable() for letter in given) else []
    if not shown:
        return otherwise, [*notes, Note.NAME_MISSING]
    if len(shown) > NAME_LENGTH:
        shown, notes = shown[:NAME_LENGTH].strip(), [*notes, Note.NAME_CUT]
    return valid_name(shown), notes


def moment(text: str) -> datetime:
    """A time; one without a zone is UTC. Raises InvalidValue for what is none, `infinity` too."""
    try:
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("That is no time.") from None


def has_zone(text: str) -> bool:
    """Whether a time says its zone."""
    return bool(re.search(r"([+-]\d\d(:?\d\d)*|Z)\s*$", text.partition(":")[2]))


def creation(text: str | None, now: datetime) -> tuple[datetime, list[Note]]:
    """When a client began: `now` where nobody can tell."""
    try:
        read = moment(text or "")
    except InvalidValue:
        return now, [Note.CREATED_UNKNOWN]
    if read > now + timedelta(days=1) or read.year < 1990:
        return now, [Note.CREATED_UNKNOWN]
    return read, [] if has_zone(text or "") else [Note.TIME_WITHOUT_ZONE]


def amount(text: str) -> int:
    """Requests in a window. Raises InvalidValue for zero, less, and what is no whole number."""
    if not _AMOUNT.fullmatch(text.strip()):
        raise InvalidValue("That is no whole number.")
    read = int(text.strip().partition(".")[0])
    if not 1 <= read <= LARGEST_AMOUNT:
        raise InvalidValue("That is no limit.")
    return read

"""Keys in a text that leaked: found by their form, compared by digest. The text is looked at and forgotten.

What is kept of it is which line held which key of ours, by the key's id: that is what `Finding` holds and what its text
form says, so that it can go through a page without a secret in it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue
from domain.key_digest import SHA256, sha256_digest, verify_row
from domain.key_format import KEY_PATTERN
from domain.settings import KeySettings

MOST_LINES = 500
MOST_WORDS = 2_000
"""Words of lines without a key of our form, which might be imported keys."""
_WORD = re.compile(r"[^\s\"'`,;=<>()\[\]{}]{16,512}")
_ROWS = """
select id, public_id, scheme, digest, pepper_version from api_key
 where public_id = any($1::text[]) or (scheme = $2 and digest = any($3::bytea[]))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the text (counted from 1) and a key of ours in it; None: none was found."""

    line: int
    key_id: UUID | None


async def find_leaked(connection: Any, settings: KeySettings, text: str) -> tuple[Finding, ...]:
    """What the lines of a text hold, in their order; blank lines are passed over. Raises InvalidValue."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InvalidValue("Paste some lines.")
    if len(lines) > MOST_LINES:
        raise InvalidValue(f"These are {len(lines):,} lines; at most {MOST_LINES} are taken at once.")
    presented = {number: list(_candidates(line)) for number, line in lines}
    if sum(map(len, presented.values())) > MOST_WORDS:
        raise InvalidValue("Nearly every word of this could be a key. Paste less at once.")
    known = await _recognised(connection, settings, {each for found in presented.values() for each in found})
    findings: list[Finding] = []
    for number, _ in lines:
        ids = dict.fromkeys(known[each] for each in presented[number] if each in known)
        findings += [Finding(number, key_id) for key_id in ids] or [Finding(number, None)]
    return tuple(findings)


def findings_to_text(findings: Sequence[Finding]) -> str:
    """Line numbers and ids, and nothing else."""
    return " ".join(f"{each.line}:{each.key_id or '-'}" for each in findings)


def findings_from_text(text: str) -> tuple[Finding, ...]:
    """The same again. Raises InvalidValue for what is none."""
    found = []
    for part in text.split():
        number, _, key_id = part.partition(":")
        try:
            found.append(Finding(int(number), None if key_id == "-" else UUID(key_id)))
        except ValueError:
            raise InvalidValue("This form is not one of ours. Begin again.") from None
    return tuple(found)


def _candidates(line: str) -> Iterable[bytes]:
    ours = [match[0] for match in KEY_PATTERN.finditer(line.encode("utf-8", "replace"))]
    return ours or [word[0].encode("utf-8", "replace") for word in _WORD.finditer(line)]


async def _recognised(connection: Any, settings: KeySettings, presented: set[bytes]) -> dict[bytes, UUID]:
    by_public_id = {match[2].decode(): each for each in presented if (match := KEY_PATTERN.fullmatch(each))}
    by_digest = {sha256_digest(each): each for each in presented}
    rows = await connection.fetch(_ROWS, list(by_public_id), SHA256, list(by_digest))
    known: dict[bytes, UUID] = {}
    for row in rows:
        each = by_digest.get(row["digest"]) if row["scheme"] == SHA256 else by_public_id.get(row["public_id"])
        if each is not None and verify_row(
            each, row["scheme"], row["digest"], row["pepper_version"], settings.pepper_by_version
        ):
            known[each] = row["id"]
    return known

"""Names for people and slugs for machines: what may be one, and one made of the other."""

import re
import unicodedata

from domain.faults import InvalidValue

SLUG_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
NAME_LENGTH = 120
DERIVED_SLUG_LENGTH = 50


def valid_name(text: str, what: str = "name") -> str:
    """`text` without surrounding space: 1 to 120 printable characters. Raises InvalidValue."""
    name = text.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise InvalidValue(f"The {what} must have 1 to {NAME_LENGTH} characters.")
    if not name.isprintable():
        raise InvalidValue(f"The {what} contains characters that cannot be printed.")
    return name


def valid_slug(text: str) -> str:
    """`text` if it is a slug: lower-case letters, digits and hyphens, at most 63. Raises InvalidValue."""
    if not SLUG_PATTERN.fullmatch(text):
        raise InvalidValue(
            f"'{text[:80]}' is no slug: lower-case letters, digits and hyphens, at most 63, not a hyphen first."
        )
    return text


def slug_from(name: str) -> str:
    """A slug that resembles `name`; `organization` when nothing of it can be kept."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:DERIVED_SLUG_LENGTH].strip("-")
    return slug or "organization"

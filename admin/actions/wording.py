"""How previews and outcomes say things: moments in UTC, credits, counts."""

from datetime import UTC, datetime

from domain.credit_amounts import credits_text
from domain.organizations import OrganizationRecord

Links = tuple[tuple[str, str], ...]


def utc(at: datetime | None, *, none: str = "never") -> str:
    """A moment to the minute: 27 Nov 2026, 18:00 UTC."""
    return none if at is None else f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def credits_(micro: int | None, *, none: str = "none") -> str:
    """Micro-credits as credits."""
    return none if micro is None else credits_text(micro)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 key`, `1,200 keys`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def to_organization(found: OrganizationRecord) -> Links:
    """The link that leads on to an organization."""
    return ((f"To {found.name}", f"/organizations/{found.slug}"),)

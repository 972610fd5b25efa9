"""Every Redis key of the product, spelled here and nowhere else.

A key begins with `pe:` and carries its organization as the hash tag `{organization id}`, so that all keys of one call
lie in one slot of Redis Cluster. A window's key does not contain the limit's amount: changing it keeps the count.
"""

from uuid import UUID


def window_key(organization_id: UUID, limit_id: UUID, key_id: UUID | None, period: str) -> str:
    """A limit's window, without its start, which lease.lua appends as `:<unix seconds>` on server time.

    `key_id` is None where all keys of the organization share the limit.
    """
    return f"pe:{{{organization_id}}}:w:{limit_id}:{key_id or '-'}:{period}"


def marker_key(organization_id: UUID) -> str:
    """When Redis first knew the organization: a window that began before that may have been lost with Redis's memory."""
    return f"pe:{{{organization_id}}}:m"


def marker_of(name: str) -> str:
    """The marker of the organization that a window's name belongs to."""
    return name[: name.index("}") + 1] + ":m"


def organization_of(name: str) -> UUID:
    """Whose window or marker it is. Raises ValueError if it is none."""
    return UUID(name[name.index("{") + 1 : name.index("}")])


RECALLS = "pe:recall"
"""Channel on which a worker that runs dry asks the others for what they hold of a window."""


def probe_key() -> str:
    """What a worker writes to find out whether Redis takes writes again."""
    return "pe:{probe}:w"


def acting_link_key(digest: bytes) -> str:
    """An operator's link into the portal, by its token's digest."""
    return f"pe:{{acting}}:{digest.hex()}"


JOBS_PREFIX = "pe:{jobs}"
"""What the keys of BullMQ's queue begin with: one slot, as its scripts need in a cluster."""
JOBS_QUEUE = "work"
"""The queue's name."""


def jobs_queue_key(part: str) -> str:
    """One of the lists and sets that BullMQ keeps the queue's entries in, by their state."""
    return f"{JOBS_PREFIX}:{JOBS_QUEUE}:{part}"

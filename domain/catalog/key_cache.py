"""Verified and unknown keys of one worker, by the SHA-256 of what was presented: the key itself is never held.

Bounded, O(1) everywhere, and safe against write-back: every invalidation has a sequence number, a read remembers
the number at which it began, and a result that an invalidation overtook is not stored (C9 of the research).
"""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from domain.snapshots import KeySnapshot

_CHANGES_HELD = 100_000
"""Beyond so many changes during reads that overlap for ever, every read that has begun counts as overtaken."""


@dataclass(slots=True)
class KeyEntry:
    """A verified key and the monotonic time at which the read that verified it began."""

    snapshot: KeySnapshot
    read_at: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a read stood in the order of invalidations when it began, and when that was (monotonic)."""

    sequence: int
    begun_at: float


class KeyCache:
    """`known` is least recently used first. A ticket must be taken with `begin` and given back with `end`."""

    def __init__(self, size: int, negative_size: int) -> None:
        self.known: OrderedDict[bytes, KeyEntry] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._size = size
        self._negative_size = negative_size
        self._by_id: dict[UUID, set[bytes] | bytes] = {}
        self._by_organization: dict[UUID, set[bytes] | bytes] = {}
        self._sequence = 0
        self._cleared = 0
        self._any_key_changed = 0
        self._changed: dict[UUID, int] = {}
        self._reads = 0

    def __len__(self) -> int:
        return len(self.known)

    @property
    def unknown_count(self) -> int:
        """Unknown keys that are remembered."""
        return len(self._unknown)

    def is_unknown(self, cache_key: bytes, now: float, ttl: float) -> bool:
        """True if a read that began less than `ttl` seconds ago found no such key."""
        read_at = self._unknown.get(cache_key)
        return read_at is not None and now - read_at < ttl

    def begin(self, now: float) -> Ticket:
        """A read begins."""
        self._reads += 1
        return Ticket(self._sequence, now)

    def end(self) -> None:
        """A read is over, whatever came of it."""
        self._reads -= 1
        if self._reads == 0:
            self._changed.clear()

    def overtaken(self, ticket: Ticket, snapshot: KeySnapshot | None) -> bool:
        """True if something changed since the ticket that this result may not have seen."""
        if self._cleared > ticket.sequence:
            return True
        if snapshot is None:
            return self._any_key_changed > ticket.sequence
        changed = self._changed
        return (
            changed.get(snapshot.id, 0) > ticket.sequence or changed.get(snapshot.organization_id, 0) > ticket.sequence
        )

    def store(self, cache_key: bytes, snapshot: KeySnapshot | None, ticket: Ticket) -> bool:
        """Keep a result, unless it was overtaken: then False, and nothing is kept.

        A key that reads the same stays the same object: much is remembered by a snapshot's identity, and keeps it alive.
        """
        if self.overtaken(ticket, snapshot):
            return False
        held = self.known.get(cache_key)
        if held is not None and held.snapshot == snapshot:
            snapshot = held.snapshot
        self._drop(cache_key)
        if snapshot is None:
            self._unknown[cache_key] = ticket.begun_at
            self._unknown.move_to_end(cache_key)
            if len(self._unknown) > self._negative_size:
                self._unknown.popitem(last=False)
            return True
        self._unknown.pop(cache_key, None)
        self.known[cache_key] = KeyEntry(snapshot, ticket.begun_at)
        _link(self._by_id, snapshot.id, cache_key)
        _link(self._by_organization, snapshot.organization_id, cache_key)
        if len(self.known) > self._size:
            self._drop(next(iter(self.known)))
        return True

    def forget_key(self, key_id: UUID) -> None:
        """A key was made, changed or deleted. What was unknown may be known now."""
        self._sequence += 1
        self._any_key_changed = self._sequence
        self._unknown.clear()
        self._note(key_id)
        for cache_key in _members(self._by_id, key_id):
            self._drop(cache_key)

    def forget_organization(self, organization_id: UUID) -> None:
        """An organization or its subscription changed: none of its keys may be used as it was read."""
        self._sequence += 1
        self._note(organization_id)
        for cache_key in _members(self._by_organization, organization_id):
            self._drop(cache_key)

    def forget_unknown(self) -> None:
        """Keys may have been made that nobody told us of."""
        self._sequence += 1
        self._any_key_changed = self._sequence
        self._unknown.clear()

    def clear(self) -> None:
        """Forget everything, and what is being read too."""
        self._sequence += 1
        self._cleared = self._sequence
        self.known.clear()
        self._unknown.clear()
        self._by_id.clear()
        self._by_organization.clear()
        self._changed.clear()

    def _note(self, changed_id: UUID) -> None:
        if self._reads:
            self._changed[changed_id] = self._sequence
            if len(self._changed) > _CHANGES_HELD:
                self._cleared = self._sequence
                self._changed.clear()

    def _drop(self, cache_key: bytes) -> None:
        entry = self.known.pop(cache_key, None)
        if entry is not None:
            _unlink(self._by_id, entry.snapshot.id, cache_key)
            _unlink(self._by_organization, entry.snapshot.organization_id, cache_key)


def _link(index: dict[UUID, set[bytes] | bytes], owner: UUID, cache_key: bytes) -> None:
    # Most owners have one key, and a set costs five times its only member.
    held = index.get(owner)
    if held is None:
        index[owner] = cache_key
    elif isinstance(held, set):
        held.add(cache_key)
    elif held != cache_key:
        index[owner] = {held, cache_key}


def _unlink(index: dict[UUID, set[bytes] | bytes], owner: UUID, cache_key: bytes) -> None:
    held = index.get(owner)
    if isinstance(held, set):
        held.discard(cache_key)
        if not held:
            del index[owner]
    elif held == cache_key:
        del index[owner]


def _members(index: dict[UUID, set[bytes] | bytes], owner: UUID) -> tuple[bytes, ...]:
    held = index.get(owner)
    if held is None:
        return ()
    return tuple(held) if isinstance(held, set) else (held,)

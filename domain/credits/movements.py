"""What moves: credits that come to one organization or leave it, and the entry that this becomes."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schema.credits import EntryType, LedgerAccount

DEFAULT_PRIORITY = 50

_OTHER_ACCOUNT = {
    (EntryType.PURCHASE, True): LedgerAccount.PURCHASES,
    (EntryType.BONUS, True): LedgerAccount.BONUSES,
    (EntryType.USAGE, False): LedgerAccount.USAGE,
    (EntryType.REFUND, False): LedgerAccount.PURCHASES,
    (EntryType.REFUND, True): LedgerAccount.USAGE,
    (EntryType.ADJUSTMENT, True): LedgerAccount.ADJUSTMENTS,
    (EntryType.ADJUSTMENT, False): LedgerAccount.ADJUSTMENTS,
    (EntryType.EXPIRY, False): LedgerAccount.EXPIRIES,
}
_GROWS_BY_LEAVING = {LedgerAccount.USAGE, LedgerAccount.EXPIRIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Credits that come to an organization (`incoming`) or leave it, and what that changes in what is held of them.

    `leased_micro` and `reserved_micro` are added to the account's in the same update: a usage of 5 out of a lease has
    -5. What comes in makes a grant of `priority` and `expires_at`; what goes out burns `grant_id`, or else grants in
    their order. `requests`, `stored_at`, `first_at` and `last_at` belong to a usage and to nothing else.
    """

    organization_id: UUID
    type: EntryType
    amount_micro: int
    incoming: bool
    leased_micro: int = 0
    reserved_micro: int = 0
    priority: int = DEFAULT_PRIORITY
    expires_at: datetime | None = None
    grant_id: UUID | None = None
    refund_of: UUID | None = None
    reason: str = ""
    actor: str = ""
    reference: str = ""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None
    requests: int = 0
    stored_at: datetime | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def signed_micro(self) -> int:
        """What it adds to the balance."""
        return self.amount_micro if self.incoming else -self.amount_micro

    @property
    def other_account(self) -> LedgerAccount:
        """Where the credits came from or went to. Raises KeyError for a type that never goes that way."""
        return _OTHER_ACCOUNT[self.type, self.incoming]

    @property
    def other_micro(self) -> int:
        """What it adds to the balance of the other account, which counts what it gave or, of some, what it got."""
        return -self.signed_micro if self.other_account in _GROWS_BY_LEAVING else self.signed_micro

    @property
    def debit(self) -> LedgerAccount:
        """The account that the credits leave."""
        return self.other_account if self.incoming else LedgerAccount.CREDITS

    @property
    def credit(self) -> LedgerAccount:
        """The account that the credits come to."""
        return LedgerAccount.CREDITS if self.incoming else self.other_account


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """What a movement became. `number` counts the entries of its organization from 1, without a gap."""

    id: UUID
    organization_id: UUID
    type: EntryType
    amount_micro: int
    balance_after_micro: int
    number: int
    created_at: datetime

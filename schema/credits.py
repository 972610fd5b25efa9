"""Money: what an organization owns, every movement of it, and what is held of it at this moment.

All amounts are whole micro-credits (millionths). `domain.credits` is the only writer.
"""

from enum import StrEnum
from typing import Any

from piccolo.columns import UUID, BigInt, Bytea, ForeignKey, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class EntryType(StrEnum):
    """Why credits moved."""

    PURCHASE = "purchase"
    BONUS = "bonus"
    USAGE = "usage"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    EXPIRY = "expiry"


class LedgerAccount(StrEnum):
    """The accounts of one organization's ledger. `credits` is what it owns; the others are where that came from and went."""

    CREDITS = "credits"
    PURCHASES = "purchases"
    BONUSES = "bonuses"
    USAGE = "usage"
    ADJUSTMENTS = "adjustments"
    EXPIRIES = "expiries"


class ReservationState(StrEnum):
    """A reservation is held once and ends once."""

    HELD = "held"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class CreditAccount(Table, tablename="credit_account"):
    """One organization's ledger as it stands: six balances that always add up, and what is held of the first.

    Changed only in the transaction that writes the entry, or that changes the lease or the reservation. What can be spent
    is `balance - leased - reserved`.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    balance_micro = BigInt(default=0, help_text="What it owns: the sum of its entries.")
    leased_micro = BigInt(default=0, help_text="Of that, in the hands of gateway workers and not posted yet.")
    reserved_micro = BigInt(default=0, help_text="Of that, held for requests under way.")
    purchases_micro = BigInt(default=0, help_text="Bought, less what was refunded.")
    bonuses_micro = BigInt(default=0, help_text="Given.")
    usage_micro = BigInt(default=0, help_text="Spent on requests, less what was given back.")
    adjustments_micro = BigInt(default=0, help_text="Corrected by operators, up or down.")
    expiries_micro = BigInt(default=0, help_text="Expired unspent.")
    entries = BigInt(default=0, help_text="How many entries it has: the number of the last.")

    uq_credit_account_organization_id = Unique([organization_id])
    ck_credit_account_adds_up = Check(
        "balance_micro = purchases_micro + bonuses_micro + adjustments_micro - usage_micro - expiries_micro"
    )
    ck_credit_account_held = Check(
        "leased_micro >= 0 and reserved_micro >= 0 and balance_micro >= leased_micro + reserved_micro"
    )
    ck_credit_account_net = Check(
        "purchases_micro >= 0 and bonuses_micro >= 0 and usage_micro >= 0 and expiries_micro >= 0"
    )


class CreditEntry(Table, tablename="credit_entry"):
    """One movement between two accounts of an organization's ledger. Never changed, never deleted: a trigger sees to it.

    The log rows behind a usage entry are those with its organization, `created_at` = `stored_at`, and a cost.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    type = Text(default=None, required=True, choices=EntryType, help_text="Why credits moved.")
    debit = Text(default=None, required=True, choices=LedgerAccount, help_text="The account that they left.")
    credit = Text(default=None, required=True, choices=LedgerAccount, help_text="The account that they came to.")
    amount_micro = BigInt(default=None, required=True, help_text="How many; more than 0.")
    balance_after_micro = BigInt(default=None, required=True, help_text="What the organization owned after it.")
    number = BigInt(default=None, required=True, help_text="1, 2, 3 for each organization, without a gap.")
    refund_of: ForeignKey[Any] = ForeignKey(
        "self", null=True, index=False, on_delete=OnDelete.restrict, help_text="The entry that it gives back."
    )
    reason = Text(default="", help_text="In words, for people.")
    actor = Text(default="", help_text="Who did it; empty: the system.")
    reference = Text(default="", help_text="The number of a payment or an invoice elsewhere.")
    idempotency_key = Text(null=True, default=None, help_text="The same key never moves credits twice.")
    fingerprint = Bytea(null=True, default=None, help_text="SHA-256 of what was asked for under that key.")
    requests = BigInt(default=0, help_text="Of a usage entry: the charged requests.")
    stored_at = Timestamptz(null=True, default=None, help_text="Of a usage entry: `created_at` of its log rows.")
    first_at = Timestamptz(null=True, default=None, help_text="Of a usage entry: when the first of them ended.")
    last_at = Timestamptz(null=True, default=None, help_text="Of a usage entry: when the last of them ended.")

    uq_credit_entry_organization_id_idempotency_key = Unique([organization_id, idempotency_key])
    uq_credit_entry_organization_id_number = Unique([organization_id, number])
    ck_credit_entry_type = Check("type in ('purchase', 'bonus', 'usage', 'refund', 'adjustment', 'expiry')")
    ck_credit_entry_amount_micro = Check("amount_micro > 0")
    ck_credit_entry_balance_after_micro = Check("balance_after_micro >= 0")
    ck_credit_entry_accounts = Check(
        "(debit = 'credits') <> (credit = 'credits') and (type, debit, credit) in ("
        "('purchase', 'purchases', 'credits'), ('bonus', 'bonuses', 'credits'), ('usage', 'credits', 'usage'),"
        " ('refund', 'credits', 'purchases'), ('refund', 'usage', 'credits'),"
        " ('adjustment', 'adjustments', 'credits'), ('adjustment', 'credits', 'adjustments'),"
        " ('expiry', 'credits', 'expiries'))"
    )
    ck_credit_entry_refund_of = Check("(type = 'refund') = (refund_of is not null)")
    ck_credit_entry_fingerprint = Check(
        "(idempotency_key is null) = (fingerprint is null) and length(idempotency_key) between 1 and 255"
    )
    ck_credit_entry_usage = Check(
        "(type = 'usage') = (requests > 0) and (type = 'usage') = (stored_at is not null)"
        " and (type = 'usage') = (first_at is not null) and (type = 'usage') = (last_at is not null)"
    )


class CreditGrant(Table, tablename="credit_grant"):
    """What one incoming entry brought, as far as it is not burned. The grants' remainders are the balance, always.

    Burned by priority (lowest first), then by expiry, then by age.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    entry_id = ForeignKey(
        CreditEntry, null=False, index=False, on_delete=OnDelete.restrict, help_text="The entry that brought it."
    )
    amount_micro = BigInt(default=None, required=True, help_text="How many credits it brought.")
    remaining_micro = BigInt(default=None, required=True, help_text="How many of them are not burned.")
    priority = SmallInt(default=50, help_text="Lower burns first: 10 bonus, 50 bought.")
    expires_at = Timestamptz(null=True, default=None, help_text="What remains then is lost; null: never.")

    uq_credit_grant_entry_id = Unique([entry_id])
    ck_credit_grant_amounts = Check("amount_micro > 0 and remaining_micro between 0 and amount_micro")
    ck_credit_grant_priority = Check("priority between 0 and 100")


class CreditHolder(Table, tablename="credit_holder"):
    """A gateway worker that may hold credits: its id is that of its journal. Once closed, it is granted nothing more.

    It is closed in the transaction that stores the end of its journal, or by an operator when its node is lost.
    """

    id = UUID(primary_key=True, default=None, required=True, help_text="The journal's id.")
    created_at = Timestamptz(default=TimestamptzNow())
    closed_at = Timestamptz(null=True, default=None, help_text="When its journal ended; null: it lives.")


class CreditLease(Table, tablename="credit_lease"):
    """What one worker was granted of one organization's credits, in all. Unspent: `amount - spent - returned`.

    `call` numbers the worker's grants, so that one whose answer was lost can be asked for again and is made once.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    holder_id = ForeignKey(
        CreditHolder, null=False, index=False, on_delete=OnDelete.restrict, help_text="The worker's journal."
    )
    amount_micro = BigInt(default=0, help_text="Granted so far.")
    spent_micro = BigInt(default=0, help_text="Of that, posted to the ledger.")
    returned_micro = BigInt(default=0, help_text="Of that, given back.")
    call = BigInt(default=0, help_text="Number of the last grant.")
    granted_micro = BigInt(default=0, help_text="Size of the last grant.")
    renewed_at = Timestamptz(default=TimestamptzNow(), help_text="When that was.")

    uq_credit_lease_organization_id_holder_id = Unique([organization_id, holder_id])
    ck_credit_lease_adds_up = Check(
        "spent_micro >= 0 and returned_micro >= 0 and granted_micro >= 0 and spent_micro + returned_micro <= amount_micro"
    )


class CreditReservation(Table, tablename="credit_reservation"):
    """Credits held for one request of a reserved operation, from before it goes upstream until its cost is posted.

    Its id is the request's.
    """

    id = UUID(primary_key=True, default=None, required=True, help_text="The request's id.")
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    holder_id = ForeignKey(
        CreditHolder, null=False, index=False, on_delete=OnDelete.restrict, help_text="The worker's journal."
    )
    operation_id = UUID(null=True, default=None, help_text="The operation.")
    amount_micro = BigInt(default=None, required=True, help_text="Held.")
    settled_micro = BigInt(default=0, help_text="Posted in the end; at most what was held.")
    state = Text(default=ReservationState.HELD, choices=ReservationState, help_text="Held, or how it ended.")
    deadline = Timestamptz(default=None, required=True, help_text="Released then, unless its worker prolongs it.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it ended.")

    ck_credit_reservation_state = Check("state in ('held', 'settled', 'released', 'expired')")
    ck_credit_reservation_amounts = Check("amount_micro > 0 and settled_micro between 0 and amount_micro")
    ck_credit_reservation_ended = Check(
        "(state = 'held') = (ended_at is null) and (state = 'settled' or settled_micro = 0)"
    )

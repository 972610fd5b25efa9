"""What becomes of an older client: an organization with its owner, on the plan that its keys had."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.faults import InvalidValue
from domain.identity.addresses import valid_email
from domain.legacy.here import Here
from domain.legacy.keys import NewKey, Rules
from domain.legacy.notes import Note
from domain.legacy.old_rows import OldClient
from domain.legacy.plans import PlanHere
from domain.legacy.readable import creation, id_here, readable_name, usable_id
from domain.limit_texts import LARGEST_AMOUNT
from domain.names import slug_from
from domain.organizations import SUFFIXES
from schema.legacy import LegacyKind

TABLE = "clients"
ACTIVE, SUSPENDED, CLOSED = (
    "active",
    frozenset({"suspended", "inactive", "disabled", "blocked"}),
    frozenset({"closed", "deleted"}),
)


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """An organization as it will be here; `email` None: nobody owns it.

    `raised`: limits of its plan, by name, that are to let more through, as another plan of its keys did.
    """

    old: OldClient
    id: UUID
    name: str
    slug: str
    state: str
    created_at: datetime
    email: str | None
    plan: PlanHere
    notes: tuple[Note, ...]
    raised: tuple[tuple[str, int], ...] = ()


def email_of(client: OldClient) -> str | None:
    """Its address as ours are, if it is one."""
    try:
        return valid_email(client.email or "")
    except InvalidValue:
        return None


def slugs_for(client: OldClient, new_id: UUID) -> list[str]:
    """Slugs that it may get, best first; the last one is nobody else's."""
    stem = slug_from(_name(client)[0])
    return [stem, *(f"{stem}-{number}" for number in range(2, SUFFIXES)), f"{stem}-{new_id.hex[-12:]}"]


def fault_of(client: OldClient, rules: Rules, here: Here) -> Note | None:
    """Why it is skipped, if it is."""
    checks = (
        (Note.ID_UNUSABLE, not usable_id(client.id)),
        (Note.ID_REPEATED, client.id in rules.repeated_clients),
        (Note.CLIENT_CLOSED, _status(client) in CLOSED),
        (Note.ID_TAKEN, id_here(rules.source, LegacyKind.CLIENT, client.id or "") in here.organization_ids),
    )
    return next((note for note, applies in checks if applies), None)


def decide_client(
    client: OldClient, keys: list[NewKey], rules: Rules, here: Here, taken: set[str], *, any_key: bool
) -> NewOrganization | Note:
    """The organization, or why there is none. Takes a slug: adds it to `taken`. `fault_of` has found nothing."""
    plan, notes = _plan(keys, rules, any_key=any_key)
    if plan is None:
        return Note.NO_PLAN
    raised = _raised(plan, keys)
    if raised:
        notes.append(Note.LIMITS_RAISED)
    new_id = id_here(rules.source, LegacyKind.CLIENT, client.id or "")
    name, about_name = _name(client)
    created_at, about_time = creation(client.created_at, rules.now)
    state, about_state = _state(client)
    email, about_email = _owner(client, rules, here)
    candidates = slugs_for(client, new_id)
    slug = next((one for one in candidates if one not in taken and one not in here.slugs), candidates[-1])
    taken.add(slug)
    if slug != candidates[0]:
        notes.append(Note.SLUG_CHANGED)
    notes = [*notes, *about_name, *about_time, *about_state, *about_email]
    return NewOrganization(client, new_id, name, slug, state, created_at, email, plan, tuple(notes), raised)


def _plan(keys: list[NewKey], rules: Rules, *, any_key: bool) -> tuple[PlanHere | None, list[Note]]:
    # Expired and revoked keys say what a customer had once; they count only where nothing else does.
    chosen = _plans_of(keys)
    if chosen:
        several = len({plan.slug for plan in chosen}) > 1
        return max(chosen, key=lambda plan: (plan.rank, plan.slug)), [Note.SEVERAL_PLANS] if several else []
    return rules.begin_plan, [*([] if any_key else [Note.NO_KEYS]), Note.BEGINS_ANEW]


def _plans_of(keys: list[NewKey]) -> list[PlanHere]:
    return [key.plan for key in keys if key.living] or [key.plan for key in keys]


def _raised(plan: PlanHere, keys: list[NewKey]) -> tuple[tuple[str, int], ...]:
    """The plan that allows most in a day may allow less in an hour than another."""
    best = [max(amounts) for amounts in zip(plan.rank, *(other.rank for other in _plans_of(keys)), strict=True)]
    found = zip(plan.names, plan.rank, best, strict=True)
    return tuple((name, min(most, LARGEST_AMOUNT)) for name, own, most in found if name and own < most)


def _name(client: OldClient) -> tuple[str, list[Note]]:
    known_by = "".join(letter for letter in (client.id or "")[:8] if letter.isalnum())
    return readable_name(client.name, f"Imported client {known_by}".strip())


def _status(client: OldClient) -> str:
    return (client.status or "").strip().lower()


def _state(client: OldClient) -> tuple[str, list[Note]]:
    status = _status(client)
    if status == ACTIVE:
        return "active", []
    return "suspended", [Note.STATUS_SUSPENDED if status in SUSPENDED else Note.STATUS_UNKNOWN_CLIENT]


def _owner(client: OldClient, rules: Rules, here: Here) -> tuple[str | None, list[Note]]:
    email = email_of(client)
    if email is None:
        return None, [Note.EMAIL_INVALID if (client.email or "").strip() else Note.EMAIL_MISSING]
    if email in rules.same_emails:
        return email, [Note.EMAIL_SHARED]
    if email in here.users:
        return email, [Note.USER_DISABLED if here.users[email] else Note.USER_PRESENT]
    return email, []

"""Whose requests are replayed, and of which days; each organization with all that its limits and prices hang on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue, NotFound
from domain.lifecycle import LIVE, Subscription
from domain.organization_keys import key_of_organization
from domain.snapshots import KeySnapshot, LimitOverride, LimitSnapshot
from domain.spend_caps import cap_limits

LONGEST_DAYS = 366

_SUBJECTS = f"""
    select o.id, o.slug, o.name, o.billing_mode, o.spend_cap_day_micro, o.spend_cap_month_micro, p.slug as plan_slug,
           s.id as subscription_id, s.plan_id, s.state, s.started_at, s.period_start, s.period_end, s.cancel_at,
           s.plan_version_id, s.next_plan_id, s.trial_ends_at, s.grace_until, a.balance_micro,
           (select json_agg(json_build_array(l.limit_name, l.amount, l.shadow, extract(epoch from l.until)))::text
              from limit_override l where l.organization_id = o.id) as overrides
      from organization o join subscription s on s.organization_id = o.id and s.state in {LIVE}
      join plan p on p.id = s.plan_id left join credit_account a on a.organization_id = o.id
     where o.id = any($1)
"""
_IDS = f"""
    select o.id, o.slug, s.plan_id is not null as live, o.slug = any($2::text[]) as named
      from organization o
      left join (subscription s join plan p on p.id = s.plan_id) on s.organization_id = o.id and s.state in {LIVE}
     where case when $2::text[] is null then s.id is not null and ($1::text is null or p.slug = $1)
                else o.slug = any($2::text[]) end
"""
_KEY_CAPS = """
    select id, organization_id, spend_cap_day_micro, spend_cap_month_micro from api_key
     where organization_id = any($1) and (spend_cap_day_micro is not null or spend_cap_month_micro is not null)
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """The last `days` whole UTC days, with `today` also what there is of this one. Organizations: those named (slugs); else
    those with a live subscription to the plan `plan` (a slug); else all with one.
    """

    days: int = 7
    plan: str | None = None
    organizations: tuple[str, ...] = ()
    today: bool = False

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when on, and until when. Raises InvalidValue."""
        if not (0 if self.today else 1) <= self.days <= LONGEST_DAYS:
            raise InvalidValue(f"The days lie between 1 and {LONGEST_DAYS}; 0 where today counts too.")
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=self.days), now if self.today else midnight


@dataclass(frozen=True, slots=True)
class Subject:
    """An organization; `key` has everything of it that is not of one key. `balance` is its micro-credits of now."""

    key: KeySnapshot
    name: str
    plan_id: UUID
    plan_version_id: UUID | None
    plan_slug: str
    trialing: bool
    overrides: tuple[LimitOverride, ...]
    balance: int
    own_caps: dict[UUID, tuple[LimitSnapshot, ...]]

    @property
    def id(self) -> UUID:
        """The organization's."""
        return self.key.organization_id


async def subject_ids(connection: Any, scope: Scope) -> list[UUID]:
    """The organizations of a scope. Raises NotFound for a named one that is not there or has no plan."""
    named = list(scope.organizations) or None
    rows = await connection.fetch(_IDS, scope.plan, named)
    live = {row["slug"]: row["live"] for row in rows}
    for slug in scope.organizations:
        if slug not in live:
            raise NotFound(f"There is no organization {slug}.")
        if not live[slug]:
            raise NotFound(f"The organization {slug} has no plan, so there is nothing to compare with.")
    return [row["id"] for row in rows if row["live"]]


async def read_subjects(connection: Any, ids: Sequence[UUID]) -> dict[UUID, Subject]:
    """These organizations by their ids, each with its live subscription."""
    caps: dict[UUID, list[Any]] = {}
    for row in await connection.fetch(_KEY_CAPS, list(ids)):
        caps.setdefault(row["organization_id"], []).append(row)
    return {row["id"]: _subject(row, caps.get(row["id"], [])) for row in await connection.fetch(_SUBJECTS, list(ids))}


def _subject(row: Any, key_caps: Sequence[Any]) -> Subject:
    subscription = Subscription(
        row["subscription_id"], row["id"], row["plan_id"], row["state"],
        *(row[name] for name in ("started_at", "period_start", "period_end", "cancel_at", "plan_version_id")),
        *(row[name] for name in ("next_plan_id", "trial_ends_at", "grace_until")),
    )  # fmt: skip
    caps = row["spend_cap_day_micro"], row["spend_cap_month_micro"]
    return Subject(
        key=key_of_organization(row, subscription, slug=row["slug"], plan_slug=row["plan_slug"]),
        name=row["name"],
        plan_id=row["plan_id"],
        plan_version_id=row["plan_version_id"],
        plan_slug=row["plan_slug"],
        trialing=row["state"] == "trialing",
        overrides=tuple(LimitOverride(*values) for values in json.loads(row["overrides"] or "[]")),
        balance=row["balance_micro"] or 0,
        own_caps={
            each["id"]: cap_limits(*caps, each["spend_cap_day_micro"], each["spend_cap_month_micro"])
            for each in key_caps
        },
    )

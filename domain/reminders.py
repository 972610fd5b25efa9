"""Mails to those who look after a subscription, before its trial, its period or itself ends: once for each end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.lifecycle import LIVE
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings

# A trial is followed by its next plan, if it has one or costs nothing; else it ends. What is not paid ends with its grace.
_DUE = f"""
select s.organization_id, o.slug, o.name as organization, p.name as plan, coalesce(n.name, p.name) as next_plan, w.kind, w.at
  from subscription s
  join organization o on o.id = s.organization_id and o.state <> 'closed'
  join plan p on p.id = s.plan_id
  left join plan n on n.id = s.next_plan_id
  left join plan_version v on v.id = s.plan_version_id and v.plan_id = s.plan_id
 cross join lateral (select
       coalesce((v.terms->>'price_cents')::bigint, p.price_cents) = 0 as free,
       case s.state when 'trialing' then coalesce(s.trial_ends_at, s.period_end)
            when 'past_due' then coalesce(s.grace_until, s.period_end + interval '24 hours'
                                          * coalesce((v.terms->>'grace_days')::int, p.grace_days))
            else s.period_end end as period_end) as t
 cross join lateral (select
       case when s.cancel_at <= t.period_end then s.cancel_at else t.period_end end as at,
       case when s.cancel_at <= t.period_end then 'subscription_ending'
            when s.state = 'trialing' and (t.free or s.next_plan_id is not null) then 'trial_followed'
            when s.state = 'trialing' then 'trial_ending'
            when s.state = 'past_due' then 'grace_ending'
            when s.state = 'active' and (not t.free or s.next_plan_id is not null) then 'period_ending' end as kind) as w
 where s.state in {LIVE} and w.kind is not null and w.at > $1 and w.at <= $2
   and not exists (select from notice told where told.organization_id = s.organization_id and told.kind = w.kind
                      and told.about = to_char(w.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
 order by w.at, s.id limit $3
"""
_TELL = """
insert into notice (organization_id, kind, about)
values ($1, $2, to_char($3::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
on conflict on constraint uq_notice_organization_id_kind_about do nothing returning id
"""
_READERS = """
select distinct u.email from membership m join users u on u.id = m.user_id
 where m.organization_id = $1 and m.role in ('owner', 'billing') and u.active and u.email_verified_at is not null
 order by u.email
"""


@dataclass(frozen=True, slots=True)
class Reminder:
    """What an organization was reminded of, and how many people were written to."""

    organization_id: UUID
    kind: str
    at: datetime
    mails: int


async def remind_due(
    connection: Any, settings: SecretSettings, base_url: str, now: datetime, ahead: timedelta, *, most: int = 200
) -> list[Reminder]:
    """Remind of what ends within `ahead` of `now`, of at most `most` subscriptions; what was told. Call it again.

    `base_url` is where the portal is.

    Each in a transaction of its own, with its mails: killed anywhere, nobody is told twice, and nobody is left out.
    """
    told = []
    for row in await connection.fetch(_DUE, now, now + ahead, most):
        async with connection.transaction():
            if await connection.fetchval(_TELL, row["organization_id"], row["kind"], row["at"]) is None:
                continue
            readers = [reader["email"] for reader in await connection.fetch(_READERS, row["organization_id"])]
            values = {
                "organization": row["organization"],
                "subscription_url": f"{base_url}/o/{row['slug']}/subscription",
                "plan": row["plan"],
                "next_plan": row["next_plan"],
                "end": f"{row['at']:%d %B %Y}".lstrip("0"),
            }
            for email in readers:
                await post_mail(connection, settings, template=row["kind"], to=email, values=values)
        told.append(Reminder(row["organization_id"], row["kind"], row["at"], len(readers)))
    return told

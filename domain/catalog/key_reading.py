"""Reading and verifying one API key: one indexed read, by public id for our format, by SHA-256 for imported keys."""

import json
import logging
from datetime import datetime
from ipaddress import ip_network
from sys import intern
from typing import Any
from uuid import UUID

import asyncpg

from domain.catalog.lending import lent
from domain.databases import Pool
from domain.entitlements import access_until
from domain.key_digest import verify_row
from domain.key_format import crc_ok, parse
from domain.lifecycle import Subscription, Terms
from domain.snapshots import KeySnapshot, LimitOverride, Network
from domain.spend_caps import cap_limits

READ_SECONDS = 2.0
LONGEST_KEY = 512
OUR_PREFIXES = (b"pe_live_", b"pe_test_")
_ALL_SCOPES: frozenset[str] = frozenset()
_NOBODY: tuple[Network, ...] = (ip_network("255.255.255.255/32"),)

_MOST_PLAN_IDS = 10_000
_plan_ids: dict[UUID, UUID] = {}

_log = logging.getLogger(__name__)

_SELECT = """
    select k.id, k.organization_id, o.slug as organization_slug, o.state as organization_state,
           o.billing_mode, o.spend_cap_day_micro as organization_cap_day, o.spend_cap_month_micro as organization_cap_month,
           k.spend_cap_day_micro as key_cap_day, k.spend_cap_month_micro as key_cap_month,
           s.plan_id, coalesce(p.slug, '') as plan_slug, s.period_start, s.period_end,
           s.id as subscription_id, s.state as subscription_state, s.started_at, s.trial_ends_at, s.grace_until,
           s.cancel_at, s.next_plan_id, v.id as plan_version_id,
           coalesce((v.terms->>'price_cents')::bigint, p.price_cents) as price_cents,
           coalesce((v.terms->>'grace_days')::int, p.grace_days) as grace_days,
           (select json_agg(json_build_array(l.limit_name, l.amount, l.shadow, extract(epoch from l.until)))
            from limit_override l where l.organization_id = k.organization_id
            and (l.until is null or l.until > now())) as overrides,
           k.name, k.prefix, k.environment, k.scopes, k.allowed_ips, k.expires_at,
           k.revoked_at is not null as revoked, k.scheme, k.digest, k.pepper_version
    from api_key k
    join organization o on o.id = k.organization_id
    left join subscription s on s.organization_id = k.organization_id and s.state in ('trialing', 'active', 'past_due')
    left join plan p on p.id = s.plan_id
    left join plan_version v on v.id = s.plan_version_id and v.plan_id = s.plan_id
"""
_BY_PUBLIC_ID = _SELECT + "where k.public_id = $1 and k.scheme = 'hmac'"
_BY_DIGEST = _SELECT + "where k.digest = $1 and k.scheme = 'sha256'"


def plausible(presented: bytes) -> bool:
    """False if no read can find this key: too long, or in our format with a wrong shape or checksum."""
    if not presented or len(presented) > LONGEST_KEY:
        return False
    if presented.startswith(OUR_PREFIXES):
        return crc_ok(presented)
    return True


async def read_key(pool: Pool, peppers: dict[int, bytes], presented: bytes, sha256_digest: bytes) -> KeySnapshot | None:
    """The key's row as it is now, also if revoked or expired; None if there is none or its secret is another.

    Raises one of READ_FAULTS if the database gave no answer.
    """
    parsed = parse(presented)
    async with lent(pool, READ_SECONDS) as connection:
        if parsed is None:
            row = await connection.fetchrow(_BY_DIGEST, sha256_digest)
        else:
            row = await connection.fetchrow(_BY_PUBLIC_ID, parsed.public_id)
    if row is None or not _is_key_of(row, presented, peppers):
        return None
    return _snapshot(row)


def _is_key_of(row: asyncpg.Record, presented: bytes, peppers: dict[int, bytes]) -> bool:
    version = row["pepper_version"]
    if version is not None and version not in peppers:
        _log.error("key %s needs pepper version %s, which KEY_PEPPERS does not have", row["id"], version)
    return verify_row(presented, row["scheme"], row["digest"], version, peppers)


def _snapshot(row: asyncpg.Record) -> KeySnapshot:
    # What many keys share is held once: a worker keeps a hundred thousand of them.
    return KeySnapshot(
        id=row["id"],
        organization_id=row["organization_id"],
        organization_slug=intern(row["organization_slug"]),
        organization_state=intern(row["organization_state"]),
        plan_id=_shared(row["plan_id"]),
        plan_slug=intern(row["plan_slug"]),
        name=row["name"],
        prefix=row["prefix"],
        environment=intern(row["environment"]),
        scopes=frozenset(map(intern, row["scopes"])) if row["scopes"] else _ALL_SCOPES,
        allowed_ips=_networks(row),
        expires_at=_seconds(row["expires_at"]),
        revoked=row["revoked"],
        period_start=_seconds(row["period_start"]),
        period_end=_seconds(row["period_end"]),
        billing_mode=intern(row["billing_mode"]),
        plan_version_id=_shared(row["plan_version_id"]),
        overrides=_overrides(row),
        **_of_subscription(row),
        spend_caps=cap_limits(
            row["organization_cap_day"], row["organization_cap_month"], row["key_cap_day"], row["key_cap_month"]
        ),
    )


def _shared(plan_id: UUID | None) -> UUID | None:
    """One object for all keys of a plan or version."""
    if plan_id is None:
        return None
    if len(_plan_ids) >= _MOST_PLAN_IDS:
        _plan_ids.clear()
    return _plan_ids.setdefault(plan_id, plan_id)


def _of_subscription(row: asyncpg.Record) -> dict[str, Any]:
    """What the rules of subscriptions say of this one."""
    if row["subscription_id"] is None:
        return {}
    subscription = Subscription(
        row["subscription_id"], row["organization_id"], row["plan_id"], row["subscription_state"],
        *(row[name] for name in ("started_at", "period_start", "period_end", "cancel_at", "plan_version_id")),
        *(row[name] for name in ("next_plan_id", "trial_ends_at", "grace_until")),
    )  # fmt: skip
    anchor = subscription.anchor
    return {
        "trialing": subscription.state == "trialing",
        "access_until": _seconds(access_until(subscription, Terms(row["price_cents"] == 0, row["grace_days"]))),
        # Held only where it says more than the period's begin.
        "period_anchor": None if anchor.day == subscription.period_start.day else anchor.timestamp(),
    }


def _overrides(row: asyncpg.Record) -> tuple[LimitOverride, ...]:
    return tuple(LimitOverride(*values) for values in json.loads(row["overrides"])) if row["overrides"] else ()


def _networks(row: asyncpg.Record) -> tuple[Network, ...]:
    """The networks that the key is limited to, empty for any; an unreadable one lets nobody in."""
    networks: list[Network] = []
    for text in row["allowed_ips"]:
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            _log.error("key %s has an address %r that is no network: left out", row["id"], text)
    return tuple(networks) or (_NOBODY if row["allowed_ips"] else ())


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()

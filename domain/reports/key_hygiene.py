"""API keys that deserve a look: never used, not used for 90 days, without expiry, without an IP list. Revoked ones don't.

All of it stands in one index of the keys that are not revoked, in the order of their last use.
"""

from datetime import datetime, timedelta
from typing import Any

from domain.reports.shapes import Column, Fact, Named, Report, ReportChoice
from domain.reports.words import percent

IDLE = timedelta(days=90)
MOST_PAGES = 200
LISTS = {
    "never-used": "last_used_at is null and created_at < $1",
    "idle": "last_used_at < $1",
    "no-expiry": "expires_at is null and created_at < $1",
    "no-ip-list": "allowed_ips = array[]::text[] and created_at < $1",
}
"""Each compares a moment: all but the idle ones with now, which excludes none."""

_COUNTS = """
select count(*) as keys, count(*) filter (where last_used_at is null) as never_used,
       count(*) filter (where last_used_at < $1) as idle, count(*) filter (where expires_at is null) as no_expiry,
       count(*) filter (where allowed_ips = array[]::text[]) as no_ip_list, count(*) filter (where expires_at <= $2) as expired
  from api_key where revoked_at is null {whose}
"""
_LIST = """
select k.id, k.name, k.prefix || '\u2026' || k.last4 as ending, k.created_at, k.last_used_at, k.expires_at, k.environment,
       cardinality(k.allowed_ips) as networks, o.id as organization_id, o.name as organization, o.slug
  from (select id from api_key where revoked_at is null and {condition} {whose}
         order by last_used_at {order}, id offset $2 limit $3) as listed
  join api_key k on k.id = listed.id join organization o on o.id = k.organization_id
 order by k.last_used_at {order}, k.id
"""
_COLUMNS = (
    Column("key", "Key", "key"),
    Column("organization", "Organization", "organization"),
    Column("environment", "Environment", "text"),
    Column("created", "Made", "moment"),
    Column("last_used", "Last used", "moment"),
    Column("expires", "Expires", "moment"),
    Column("networks", "Networks", "count"),
)


async def key_hygiene(connection: Any, choice: ReportChoice) -> Report:
    """One of the lists by pages, longest unused first, with the counts of all. A use is told within ten minutes."""
    now, which = choice.window.now, choice.which or next(iter(LISTS))
    whose, values = ("and organization_id = $4", [choice.organization.id]) if choice.organization else ("", [])
    # The index is half of the table, and in memory.
    await connection.execute("set local enable_seqscan = off")
    counts = await connection.fetchrow(_COUNTS.format(whose=whose.replace("$4", "$3")), now - IDLE, now, *values)
    found = await connection.fetch(
        _LIST.format(condition=LISTS[which], whose=whose, order="nulls last" if which != "never-used" else ""),
        now - IDLE if which == "idle" else now + timedelta(days=1),
        (min(choice.page, MOST_PAGES) - 1) * choice.limit,
        choice.limit + 1,
        *values,
    )
    shown = found[: choice.limit]
    facts = [Fact("keys", "Keys that are not revoked", "count", counts["keys"])]
    for name, title in _COUNTED.items():
        facts.append(Fact(name, title, "count", counts[name]))
        facts.append(Fact(f"{name}_share", title, "percent", percent(counts[name], counts["keys"])))
    return Report(
        slug="key-hygiene",
        title="Key hygiene",
        sentence=f"API keys that are not revoked: the list {which}, longest unused first, from the keys themselves,"
        f" {now:%Y-%m-%d %H:%M} UTC. Their last use is known within ten minutes, since this version.",
        columns=_COLUMNS,
        rows=tuple(_row(row) for row in shown),
        filters=tuple(_filters(row, now) for row in shown),
        facts=tuple(facts),
        more=len(found) > choice.limit and choice.page < MOST_PAGES,
    )


_COUNTED = {
    "never_used": "Never used",
    "idle": "Not used for 90 days",
    "no_expiry": "Without expiry",
    "no_ip_list": "Without an IP list",
    "expired": "Expired, not revoked",
}


def _row(row: Any) -> tuple[Any, ...]:
    return (
        Named(row["id"], row["name"], row["ending"]),
        Named(row["organization_id"], row["organization"], row["slug"]),
        row["environment"],
        row["created_at"],
        row["last_used_at"],
        row["expires_at"],
        row["networks"],
    )


def _filters(row: Any, now: datetime) -> dict[str, str] | None:
    if row["last_used_at"] is None:
        return None
    first = row["last_used_at"] - timedelta(hours=1)
    return {"organization": row["slug"], "key": str(row["id"]), "from": first.isoformat(), "to": now.isoformat()}

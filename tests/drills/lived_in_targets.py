"""Every page and call of the portal that can be looked at, with real ids in its path: what is merged later is there too."""

import re
from dataclasses import dataclass
from typing import Any

from portal.api.table import ENDPOINTS
from portal.pages.table import PAGES
from tests.drills.lived_in_life import Life

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_VALUES = {
    "organization": "select slug from organization where id = $1",
    "request_id": "select id from request_log where organization_id = $1 order by at desc limit 1",
    "key_id": "select id from api_key where organization_id = $1 order by created_at desc limit 1",
    "endpoint_id": "select id from webhook_endpoint where organization_id = $1 limit 1",
    "delivery_id": "select id from webhook_delivery where organization_id = $1 order by created_at desc limit 1",
    "job_id": "select id from async_job where organization_id = $1 and result is not null order by created_at desc limit 1",
    "event_id": "select id from webhook_event where organization_id = $1 order by created_at desc limit 1",
    "entry_id": "select id from credit_entry where organization_id = $1 order by number desc limit 1",
    "user_id": "select user_id from membership where organization_id = $1 order by user_id desc limit 1",
    "member_id": "select user_id from membership where organization_id = $1 order by user_id desc limit 1",
    "membership_id": "select id from membership where organization_id = $1 order by user_id desc limit 1",
    "service": "select slug from service where $1::uuid is not null order by slug limit 1",
    "slug": "select slug from service where $1::uuid is not null order by slug limit 1",
    "service_slug": "select slug from service where $1::uuid is not null order by slug limit 1",
    "service_id": "select id from service where $1::uuid is not null order by slug limit 1",
    "operation_id": "select id from operation where $1::uuid is not null order by name, id limit 1",
    "operation": "select o.id from operation o join service s on s.id = o.service_id where $1::uuid is not null"
    " order by s.slug, o.name limit 1",
    "plan": "select slug from plan where $1::uuid is not null limit 1",
    "session_id": "select s.id from portal_session s join membership m using (user_id) where m.organization_id = $1 limit 1",
}
"""A value for each name of a path's parameter."""

_LOOKS = ("range=7d", "range=30d", "range=90d", "range=24h&key={busy}", "range=90d&key={rare}")
_QUERIES: dict[str | None, tuple[str, ...]] = {
    "/logs": (
        "status=500", "status=5xx&range=24h", "key={rare}", "key={busy}", "key={busy}&status=500", "path=/nothing-there",
        "id={request_id}", "min_ms=2000", "client=203.0.113.0/24", "refusal=quota_exceeded", "service=search&method=POST",
    ),
    "": _LOOKS,
    "/dashboard/stats": _LOOKS,
    "/dashboard/chart-data": (*_LOOKS, "range=90d&metric=latency"),
    "/jobs": ("status=failed", "status=pending", "service=maps", "service=nothing-like-it", "key={rare}"),
    "/keys": ("state=revoked", "q=payments"),
}  # fmt: skip
"""By the end of the path: what else is asked of it. A page that does not know a query answers as without, or refuses it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for; `name` as it stands in the table."""

    name: str
    path: str


async def find_targets(connection: Any, life: Life) -> tuple[list[Target], list[str]]:
    """Every target; and the names of those for whose parameters there is no value."""
    values = {name: await connection.fetchval(query, life.organization_id) for name, query in _VALUES.items()}
    values |= {"rare": life.keys[-1], "busy": life.keys[0]}
    routes = [(page.path, "") for page in PAGES if page.method == "GET" and page.connected]
    routes += [(endpoint.path, "/api") for endpoint in ENDPOINTS if endpoint.method == "GET" and endpoint.connected]
    targets, left_out = [], []
    for path, prefix in routes:
        if any(values.get(name) is None for name, _ in _PARAMETER.findall(path)):
            left_out.append(prefix + path)
            continue
        filled = prefix + _PARAMETER.sub(lambda found: str(values[found[1]]), path)
        shown = prefix + _PARAMETER.sub(lambda found: f"{{{found[1]}}}", path)
        targets.append(Target(shown, filled))
        end = path.removeprefix("/o/{organization}") if path.startswith("/o/") or prefix else None
        for query in _QUERIES.get(end, ()):
            targets.append(Target(f"{shown}?{query}", f"{filled}?{query.format_map(values)}"))
    return targets, left_out

"""Everything in the back office that can be looked at, as an operator opens it: pages, lists, reports, forms, previews, tables."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from admin.actions.table import ACTIONS
from admin.pages.table import PAGES
from admin.pages.what_if import BOUND
from admin.tables.questions import MOST_ROWS
from admin.tables.shown import TABLES, Shown
from domain.cursors import Cursor
from domain.reports.registry import REPORTS
from tests.drills.lived_in_office_filling import HEAVY
from tests.drills.lived_in_targets import Target

WIDEST = "90d"
_PAGE_SIZE = 15
"""Rows that a page of piccolo-admin asks for."""

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_OF_HEAVY = "(select id from organization where slug = $1)"
_VALUES = {
    "light": "select slug from organization where state = 'active' and slug <> $1 order by created_at limit 1 offset 7",
    "key": f"select id from api_key where organization_id = {_OF_HEAVY} order by id limit 1",
    "prefix": f"select prefix from api_key where organization_id = {_OF_HEAVY} and revoked_at is null order by id limit 1",
    "light_key": "select id from api_key where organization_id = (select id from organization where slug <> $1 and"
    " state = 'active' order by created_at limit 1 offset 7) limit 1",
    "user": f"select user_id from membership where organization_id = {_OF_HEAVY} and role = 'owner'",
    "email": f"select u.email from users u join membership m on m.user_id = u.id where m.organization_id = {_OF_HEAVY} limit 1",
    "request": f"select id from request_log where organization_id = {_OF_HEAVY} order by at desc limit 1 offset 1000",
    "charged": f"select id from request_log where organization_id = {_OF_HEAVY} and cost_micro > 0 order by at desc limit 1",
    "organization_id": "select id from organization where slug = $1",
    "delivery": f"select id from webhook_delivery where organization_id = {_OF_HEAVY} and state = 'failed' limit 1",
    "endpoint": f"select id from webhook_endpoint where organization_id = {_OF_HEAVY} limit 1",
    "entry": f"select id from credit_entry where organization_id = {_OF_HEAVY} order by number desc limit 1",
    "run": "select id from job_run where $1 <> '' order by state = 'failed' desc, created_at desc limit 1",
    "mail": "select id from outbox_message where $1 <> '' limit 1",
    "object": "select object_type || ':' || object_id from audit_entry where object_type = 'api_key' and $1 <> '' limit 1",
    "actor_name": "select actor_name from audit_entry where actor_kind = 'operator' and $1 <> '' limit 1",
    "audited": "select request_id from audit_entry where $1 <> '' limit 1",
    "job": "select id from async_job where status = 'pending' and $1 <> '' limit 1",
    "day": "select (now() - interval '40 days')::date::text where $1 <> ''",
    "config": "select id from applied_config where $1 <> '' limit 1",
    "operation": "select s.slug || ' ' || o.method || ' ' || o.path_pattern from operation o join service s on s.id = o.service_id"
    " where $1 <> '' order by o.id limit 1",
}
_DEEP = {
    "organizations": "select created_at, id from organization where $1 <> '' order by 1 desc, 2 desc offset {} * 0.6 limit 1",
    "keys": f"select created_at, id from api_key where organization_id = {_OF_HEAVY} order by 1 desc, 2 desc offset {{}} / 10 limit 1",
    "requests": f"select at, id from request_log where organization_id = {_OF_HEAVY} order by 1 desc, 2 desc offset {{}} * 8 limit 1",
    "audit": "select created_at, id from audit_entry where $1 <> '' order by 1 desc, 2 desc offset {} * 7 limit 1",
    "async_jobs": "select created_at, id from async_job where $1 <> '' order by 1 desc, 2 desc offset {} * 3 limit 1",
    "jobs": "select created_at, id from job_run where $1 <> '' order by 1 desc, 2 desc offset {} limit 1",
}
"""Where a deep page begins; {} is the number of organizations."""

_PLACES: dict[str, tuple[str, ...]] = {
    "/organizations/{slug}": ("{heavy}", "{light}"),
    "/organizations/{slug}/keys": ("{heavy}", "{light}"),
    "/plans/{slug}": ("plan-1", "plan-9"),
    "/keys/{key_id:uuid}": ("{key}", "{light_key}"),
    "/users/{user_id:int}": ("{user}", "7"),
    "/requests/{request_id:uuid}": ("{request}",),
    "/jobs/{run_id:uuid}": ("{run}",),
    "/async-jobs/{job_id:uuid}": ("{job}",),
    "/mails/{message_id}": ("{mail}",),
    "/reports/{slug}": tuple(slug + end for slug in REPORTS for end in ("", ".csv")),
    "/actions/{slug}": tuple(action.slug for action in ACTIONS),
}
"""What stands in the place of a path's parameter."""

_ASKED: dict[str, tuple[str, ...]] = {
    "/organizations": (
        "state=suspended", "state=closed", "plan=plan-1", "plan=plan-9", "plan=plan-9&state=closed", "cursor={organizations}",
    ),
    "/organizations/{heavy}": ("range=7d", "range=30d", "range=90d"),
    "/organizations/{heavy}/keys": ("state=revoked", "state=expired", "q=Key+49", "q=nothing-like-it", "cursor={keys}"),
    "/find": (
        "q={email}", "q=person-1", "q=nobody@nowhere.example", "q={heavy}", "q=org-99", "q=Organization+5", "q={prefix}", "q=pe_live_4",
        "q={key}", "q={organization_id}", "q={request}", "q={delivery}", "q={entry}", "q=service-1", "q=zzzz",
        "q=0199d3a0-7c1e-7b3a-8f64-0e2b1c9d4a55",
    ),
    "/requests": (
        *(f"organization={{{who}}}{query}" for who in ("heavy", "light") for query in (
            "", "&status=500", "&status=5xx", "&status=429", "&outcome=gone", "&refusal=quota_exceeded", "&min_ms=5000",
            "&path=/nothing", "&client=203.0.113.0/24", "&method=DELETE", "&service=service-3", "&status=500&range=24h",
        )),
        "organization={heavy}&key={prefix}", "organization={heavy}&id={request}", "organization={heavy}&cursor={requests}",
        "organization={heavy}&status=500&cursor={requests}",
    ),
    "/audit": (
        "organization={heavy}", "organization={light}", "organization=-", "actor={user}", "actor={actor_name}", "actor=nobody",
        "object={object}", "verb=organization.suspend", "verb=key.create", "verb=key", "verb=plan.restore", "request={audited}",
        "from={day}", "to={day}", "from={day}&to={day}", "cursor={audit}", "organization={heavy}&verb=organization.suspend",
        "organization={heavy}&actor={actor_name}", "actor={actor_name}&verb=plan.restore", "verb=key&to={day}&actor={actor_name}",
    ),
    "/jobs": ("state=failed", "state=running", "name=audit-seal", "name=audit-seal&state=failed", "name=none", "cursor={jobs}"),
    "/async-jobs": (
        "status=failed", "status=pending", "organization={heavy}", "organization={light}", "organization={heavy}&status=pending",
        "service=service-30", "service=service-30&status=failed", "key={key}", "cursor={async_jobs}",
    ),
    "/what-if": ("plan=plan-1",),
}  # fmt: skip
"""What else is asked of a path, once its parameters are filled."""

_TYPED = {
    "organization": "{heavy}", "credits": "5.00", "said": "as agreed", "request_id": "{charged}", "paid": "10.00 USD",
    "reference": "invoice-17", "name": "A name", "plan": "plan-2", "key": "{prefix}", "email": "{email}", "delivery": "{delivery}",
    "endpoint": "{endpoint}", "since": "{day}T00:00", "text": "{prefix}", "limit": "hour", "amount": "5000", "days": "7", "run": "{run}",
    "service": "service-1", "operation": "{operation}", "config": "{config}", "until": "2030-01-01T00:00", "role": "developer",
    "job": "{job}", "concurrency": "3", "seconds": "900", "overlap_hours": "24",
}  # fmt: skip
"""What an operator types into a field of an action."""


@dataclass(frozen=True, slots=True)
class OfficeTarget(Target):
    """With `data` it is posted: a preview. `allowed_ms` is the promise, where it is not that of every page."""

    data: dict[str, str] | None = None
    allowed_ms: float = 300.0


async def find_targets(connection: Any, organizations: int) -> tuple[list[OfficeTarget], list[str]]:
    """Every target; and the paths for whose parameters there is no value."""
    values: dict[str, Any] = {"heavy": HEAVY}
    for name, query in _VALUES.items():
        values[name] = await connection.fetchval(query, HEAVY)
    for name, query in _DEEP.items():
        row = await connection.fetchrow(query.format(organizations), HEAVY)
        values[name] = Cursor(*row) if row else ""
    routes = [page for page in PAGES if page.method == "GET" and page.path not in ("/sign-in", "/what-if.csv")]
    left_out = [page.path for page in routes if _PARAMETER.search(page.path) and page.path not in _PLACES]
    targets = [each for page in routes if page.path not in left_out for each in _of_page(page.path, values)]
    targets += [*_reports(), *_previews(values), *_replay()]
    for shown in TABLES:
        targets += [each async for each in _of_table(connection, shown, values)]
    return targets, left_out


def _of_page(path: str, values: dict[str, Any]) -> Iterator[OfficeTarget]:
    for place in _PLACES.get(path, ("",)):
        shown = _PARAMETER.sub(place, path)
        for query in ("", *_ASKED.get(shown, ())):
            name = f"{shown}?{query}" if query else shown
            yield OfficeTarget(name, name.format_map(values))


def _reports() -> Iterator[OfficeTarget]:
    for slug, kind in REPORTS.items():
        for which in kind.which or ("",):
            for organization in ("", HEAVY) if "organization" in kind.parameters else ("",):
                given = {
                    "window": WIDEST if "window" in kind.parameters else "",
                    "which": which,
                    "organization": organization,
                }
                query = urlencode({name: text for name, text in given.items() if text})
                if query:
                    yield OfficeTarget(f"/reports/{slug}?{query}", f"/reports/{slug}?{query}")


def _previews(values: dict[str, Any]) -> Iterator[OfficeTarget]:
    for action in ACTIONS:
        data = {
            field.name: _TYPED[field.name].format_map(values)
            for field in action.fields
            if field.name in _TYPED and (field.required or field.name in ("organization", "amount", "until"))
        }
        yield OfficeTarget(f"preview of {action.slug}", f"/actions/{action.slug}/preview", data)


def _replay() -> Iterator[OfficeTarget]:
    """A replay reads logs until its bound, by design, and says so on its page."""
    query = urlencode({"plan": "plan-1", "limits": "100/hour", "days": "7", "who": "everybody"})
    yield OfficeTarget(f"/what-if?{query}", f"/what-if?{query}", allowed_ms=BOUND.seconds * 1000 + 2000)


async def _of_table(connection: Any, shown: Shown, values: dict[str, Any]) -> AsyncIterator[OfficeTarget]:
    root = f"/tables/api/tables/{shown.name}"
    last = MOST_ROWS // _PAGE_SIZE
    paths = [
        (name, f"/?__page={page}&__page_size={_PAGE_SIZE}")
        for name, page in (("first page", 1), (f"page {last}", last))
    ]
    paths += [("count", "/count/"), ("ids", "/ids/?limit=100")]
    paths += [(f"by {sign}{name}", f"/?__order={sign}{name}") for name in shown.orders.split() for sign in ("", "-")]
    if "organization_id" in shown.filterable:
        of_heavy = f"organization_id={values['organization_id']}"
        paths += [("of the heavy one", f"/?{of_heavy}"), ("count of the heavy one", f"/count/?{of_heavy}")]
    if "state" in shown.filterable:
        paths += [("state=failed", "/?state=failed"), ("count of state=failed", "/count/?state=failed")]
    key = shown.table._meta.primary_key._meta.name
    row = await connection.fetchval(f"select {key} from {shown.name} limit 1")
    if row is not None:
        paths.append(("one row", f"/{row}/"))
    for name, path in paths:
        yield OfficeTarget(f"table {shown.name}, {name}", root + path)

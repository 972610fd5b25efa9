"""The demo: plans, an operator, a customer with three organizations and keys, a service with priced operations.

Only what is missing is made. A thing that is there stays as it is, whatever an operator made of it; what belongs to a
thing (a plan's limits, an organization's keys, a service's operations) is made together with it and never later.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from domain import keys, operations, organizations, plans, services
from domain.credit_amounts import LARGEST_CREDITS, MICRO
from domain.credits.granting import grant
from domain.limit_texts import parse_limits
from domain.passwords import generate_password, hash_password
from domain.seed_plans import SEED_PLANS
from domain.settings import KeySettings
from domain.upstream_urls import valid_upstream_url

SEED_LOCK = 7_236_118_003
"""Advisory lock (transaction scope) that one seeding process holds."""

SERVICE_SLUG = "demo"
SERVICE_PREFIX = "/proxy"

ORGANIZATIONS = (
    ("demo", "Demo", "pro", 10_000, (("API_KEY", "Demo live key", "live"), ("TEST_API_KEY", "Demo test key", "test"))),
    ("demo-free", "Demo on the free plan", "free", 100, (("FREE_API_KEY", "Demo free key", "live"),)),
    ("demo-bench", "Demo for measuring", "bench", LARGEST_CREDITS, (("BENCH_API_KEY", "Demo bench key", "live"),)),
)
"""Slug, name, plan, credits, keys. Measuring never runs out: 10,000 requests a second at 0.01 take four months."""

OPERATIONS = (
    ("GET", "/hello", "hello", 1_000),
    ("GET", "/items/{id}", "get-item", 2_000),
    ("POST", "/echo", "echo", 5_000),
    ("GET", "/sse", "events", 10_000),
)


@dataclass(slots=True, repr=False)
class SeedReport:
    """What was made now. Passwords and keys stand here only if they are new; keys by their name in `demo.env`."""

    admin_email: str
    user_email: str
    created: list[str] = field(default_factory=list)
    admin_password: str | None = None
    user_password: str | None = None
    keys: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SeedReport({self.created})"


async def seed(
    connection: Any,
    settings: KeySettings,
    *,
    upstream_url: str,
    admin_email: str = "admin@example.com",
    user_email: str = "customer@example.com",
    admin_password: str | None = None,
    user_password: str | None = None,
) -> SeedReport:
    """Make what is missing, all or nothing; safe to run again, and by several processes at once.

    Passwords that are not given are generated. Raises InvalidValue.
    """
    report = SeedReport(admin_email=admin_email.strip().lower(), user_email=user_email.strip().lower())
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", SEED_LOCK)
        await _seed_plans(connection, report)
        report.admin_password = await _seed_user(connection, report, report.admin_email, admin_password, operator=True)
        report.user_password = await _seed_user(connection, report, report.user_email, user_password, operator=False)
        await _seed_organizations(connection, settings, report)
        await _seed_service(connection, report, valid_upstream_url(upstream_url))
    return report


async def _seed_plans(connection: Any, report: SeedReport) -> None:
    present = {row["slug"] for row in await connection.fetch("select slug from plan")}
    for plan in SEED_PLANS:
        if plan.slug in present:
            continue
        await plans.create(
            connection,
            slug=plan.slug,
            limits=parse_limits(plan.limits),
            name=plan.name,
            description=plan.description,
            public=plan.public,
            price_cents=plan.price_cents,
            sort_order=plan.sort_order,
        )
        report.created.append(f"plan {plan.slug}")


async def _seed_user(
    connection: Any, report: SeedReport, email: str, password: str | None, *, operator: bool
) -> str | None:
    if await connection.fetchval("select 1 from users where email = $1", email) is not None:
        return None
    plaintext = password or generate_password()
    await connection.execute(
        "insert into users (username, email, password, first_name, active, admin, superuser, operator_role, email_verified_at)"
        " values ($1, $1, $2, $3, true, $4, $4, case when $4 then 'superuser' end, now())",
        email,
        await hash_password(plaintext),
        "Operator" if operator else "Customer",
        operator,
    )
    report.created.append(f"user {email}")
    return plaintext


async def _seed_organizations(connection: Any, settings: KeySettings, report: SeedReport) -> None:
    present = {row["slug"] for row in await connection.fetch("select slug from organization")}
    user_id = await connection.fetchval("select id from users where email = $1", report.user_email)
    for slug, name, plan_slug, bonus, wanted in ORGANIZATIONS:
        if slug in present:
            await _fund_older(connection, report, slug, bonus)
            continue
        organization = await organizations.create(connection, name=name, plan_slug=plan_slug, slug=slug)
        await connection.execute(
            "insert into membership (organization_id, user_id, role) values ($1, $2, 'owner')", organization.id, user_id
        )
        await grant(connection, organization.id, amount_micro=bonus * MICRO, reason="Credits of the demo")
        report.created.append(f"organization {slug}")
        for variable, key_name, environment in wanted:
            made = await keys.create(
                connection,
                settings,
                organization_id=organization.id,
                name=key_name,
                environment=environment,
                created_by=user_id,
            )
            report.keys[variable] = made.plaintext
            report.created.append(f"key {made.record.prefix}")


async def _fund_older(connection: Any, report: SeedReport, slug: str, bonus: int) -> None:
    """A demo that was made before there were credits gets what a new one gets, or its keys would be refused with 402."""
    organization_id = await connection.fetchval(
        "select id from organization o where slug = $1 and not exists"
        " (select from credit_account where organization_id = o.id)",
        slug,
    )
    if organization_id is not None:
        await grant(connection, organization_id, amount_micro=bonus * MICRO, reason="Credits of the demo")
        report.created.append(f"credits of {slug}")


async def _seed_service(connection: Any, report: SeedReport, upstream_url: str) -> None:
    stored = json.dumps([{"url": upstream_url, "weight": 1, "seeded": upstream_url}])
    taken = await connection.fetchval(
        "select slug from service where slug = $1 or route_prefix = $2", SERVICE_SLUG, SERVICE_PREFIX
    )
    if taken is None:
        await services.create(
            connection,
            slug=SERVICE_SLUG,
            prefix=SERVICE_PREFIX,
            upstreams=[upstream_url],
            name="Demo",
            description="The default service: what UPSTREAM_API_URL names, or the demo upstream.",
            category="Examples",
            featured=True,
        )
        report.created.append(f"service {SERVICE_SLUG}")
        for method, path, name, price in OPERATIONS:
            await operations.create(
                connection,
                service_slug=SERVICE_SLUG,
                method=method,
                path_pattern=path,
                name=name,
                price_micro=price,
            )
            report.created.append(f"operation {method} {path}")
    # `seeded` remembers what was written here: as long as nobody changed it, it follows the setting and the port.
    moved = await connection.fetchval(
        "update service set upstreams = $2::jsonb where slug = $1 and upstreams <> $2::jsonb"
        " and ($3 or upstreams #>> '{0,url}' = upstreams #>> '{0,seeded}' and jsonb_array_length(upstreams) = 1)"
        " returning id",
        SERVICE_SLUG,
        stored,
        taken is None,
    )
    if taken is not None and moved is not None:
        report.created.append(f"upstream {upstream_url} of service {SERVICE_SLUG}")

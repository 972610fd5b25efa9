"""The services as customers see them: what there is, what it costs on their plan, and what they may not call and why.

Read for people, in two statements; the gateway has its own tables and knows none of this.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.faults import NotFound
from domain.names import SLUG_PATTERN
from domain.path_patterns import path_parameters

NEW_FOR = timedelta(days=30)
ELSEWHERE = "Other"
"""The category of services that have none."""

_BUYER = """
    with buyer as (
        select o.billing_mode, p.id as plan_id, p.sort_order as rank, v.id as version_id, v.terms,
               coalesce(v.terms->>'overage', p.overage) as overage
        from organization o
        left join subscription u on u.organization_id = o.id and u.state in ('trialing', 'active', 'past_due')
        left join plan p on p.id = u.plan_id left join plan_version v on v.id = u.plan_version_id
        where o.id = $1)
"""
_SERVICES = f"""
    {_BUYER}
    select s.id, s.slug, s.name, s.description, s.category, s.version, s.featured, s.beta, s.coming_soon, s.created_at,
           s.route_prefix, s.charge_on, m.name as minimum_plan, m.sort_order as minimum_rank, b.rank, b.plan_id
    from service s left join plan m on m.id = s.minimum_plan_id left join buyer b on true
    where s.enabled and ($2::text is null or s.slug = $2) order by s.sort_order, lower(s.name), s.slug limit 1000
"""
_OPERATIONS = f"""
    {_BUYER}
    select o.id, o.service_id, o.name, o.method, o.path_pattern, o.reserved, o.replays, o.asynchronous,
           o.cost_formula,
           coalesce((b.terms #>> array['prices', o.id::text])::bigint,
                    case when b.version_id is null then p.price_micro end, o.price_micro) as price_micro,
           coalesce((b.terms #>> array['quota_costs', o.id::text])::bigint,
                    case when b.version_id is null then p.quota_cost end, o.quota_cost) as quota_cost,
           coalesce(b.billing_mode, 'credits') as billing_mode, b.overage,
           m.name as minimum_plan, m.sort_order as minimum_rank, b.rank, b.plan_id
    from operation o left join buyer b on true left join plan m on m.id = o.minimum_plan_id
    left join plan_price p on p.operation_id = o.id and p.plan_id = b.plan_id
    where o.enabled and o.service_id = any($2::uuid[]) order by o.path_pattern, o.method limit 5000
"""


@dataclass(frozen=True, slots=True)
class CatalogOperation:
    """One operation for one buyer. `price_micro` is the most that a request costs; `units` of quotas, None if none count.

    `locked` is the sentence that says why it cannot be called; empty: it can.
    """

    id: UUID
    name: str
    method: str
    path_pattern: str
    price_micro: int
    units: int | None
    cost_formula: str
    reserved: bool
    replays: bool
    asynchronous: bool
    locked: str
    minimum_rank: int | None
    """The `sort_order` that a plan needs at least, of the operation and its service; None: any plan will do."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in its path, and `*` for the rest of it."""
        names = tuple(path_parameters(self.path_pattern))
        return (*names, "*") if self.path_pattern.endswith("/*") else names


@dataclass(frozen=True, slots=True)
class CatalogService:
    """One service for one buyer; `badges` are of featured, new, beta, soon. `locked` as of an operation."""

    id: UUID
    slug: str
    name: str
    description: str
    category: str
    version: str
    badges: tuple[str, ...]
    coming_soon: bool
    minimum_plan: str | None
    route_prefix: str
    charge_on: str
    locked: str
    operations: tuple[CatalogOperation, ...]


async def list_catalog(connection: Any, organization_id: UUID | None) -> tuple[CatalogService, ...]:
    """Every service that is not switched off, in the catalog's order. `organization_id` None: for nobody in particular."""
    rows = await connection.fetch(_SERVICES, organization_id, None)
    return await _built(connection, organization_id, rows)


async def fetch_from_catalog(connection: Any, organization_id: UUID | None, slug: str) -> CatalogService:
    """One of them. Raises NotFound, also for one that is switched off."""
    rows = await connection.fetch(_SERVICES, organization_id, slug) if SLUG_PATTERN.fullmatch(slug) else ()
    if not rows:
        raise NotFound("There is no such service.")
    return (await _built(connection, organization_id, rows))[0]


async def _built(connection: Any, organization_id: UUID | None, rows: Any) -> tuple[CatalogService, ...]:
    operations: defaultdict[UUID, list[Any]] = defaultdict(list)
    if rows:
        for row in await connection.fetch(_OPERATIONS, organization_id, [row["id"] for row in rows]):
            operations[row["service_id"]].append(row)
    known = organization_id is not None
    return tuple(_service(row, operations[row["id"]], known=known) for row in rows)


def _service(row: Any, operations: list[Any], *, known: bool) -> CatalogService:
    locked = "Coming soon: it cannot be called yet." if row["coming_soon"] else _locked(row, known=known)
    recent = row["created_at"] > datetime.now(UTC) - NEW_FOR
    marks = {
        "featured": row["featured"],
        "soon": row["coming_soon"],
        "beta": row["beta"],
        "new": recent and not row["coming_soon"],
    }
    return CatalogService(
        id=row["id"],
        slug=row["slug"],
        name=row["name"],
        description=row["description"],
        category=row["category"].strip() or ELSEWHERE,
        version=row["version"],
        badges=tuple(name for name, shown in marks.items() if shown),
        coming_soon=row["coming_soon"],
        minimum_plan=row["minimum_plan"],
        route_prefix=row["route_prefix"],
        charge_on=row["charge_on"],
        locked=locked,
        operations=tuple(_operation(each, locked, row["minimum_rank"], known=known) for each in operations),
    )


def _operation(row: Any, locked: str, service_rank: int | None, *, known: bool) -> CatalogOperation:
    ranks = [rank for rank in (service_rank, row["minimum_rank"]) if rank is not None]
    on_quota = row["billing_mode"] == "quota"
    return CatalogOperation(
        id=row["id"],
        name=row["name"],
        method=row["method"],
        path_pattern=row["path_pattern"],
        price_micro=0 if on_quota and row["overage"] == "block" else row["price_micro"],
        units=row["quota_cost"] if on_quota else None,
        cost_formula=row["cost_formula"],
        reserved=row["reserved"],
        replays=row["replays"],
        asynchronous=row["asynchronous"],
        locked=locked or _locked(row, known=known),
        minimum_rank=max(ranks, default=None),
    )


def _locked(row: Any, *, known: bool) -> str:
    """Why this buyer cannot call it; nobody in particular is only told by `minimum_plan`."""
    if known and row["plan_id"] is None:
        return "Needs a plan: this organization has no active subscription."
    if known and row["minimum_rank"] is not None and row["rank"] < row["minimum_rank"]:
        return f"Needs the plan {row['minimum_plan']} or a higher one."
    return ""

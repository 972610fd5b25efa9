"""Reading the small tables whole: plans with their limits, services with their upstreams and operations."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import asyncpg

from domain.catalog.routes import RouteIndex
from domain.catalog.versions import HeldVersion, read_versions, version_plans
from domain.databases import PooledConnection
from domain.snapshots import LimitSnapshot, OperationSnapshot, PlanSnapshot, ServiceSnapshot, UpstreamSnapshot

_log = logging.getLogger(__name__)

_PLANS = "select id, slug, name, sort_order, overage, trial_calls from plan"
_PRICES = "select plan_id, operation_id, price_micro, quota_cost from plan_price"
_LIMITS = """
    select id, plan_id, name, amount, period, scope, unit, shadow, service_id, operation_id from plan_limit
    order by plan_id, array_position(array['second', 'minute', 'hour', 'day', 'month', 'concurrent'], period::text), name
"""
_SERVICES = """
    select id, slug, name, enabled, coming_soon, minimum_plan_id, route_prefix, keep_prefix, upstreams, charge_on,
           connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms, total_timeout_ms, max_connections,
           max_body_bytes, tls_verify, cors_origins, job_timeout_seconds
    from service
"""
_OPERATIONS = """
    select id, service_id, name, method, path_pattern, price_micro, quota_cost, minimum_plan_id, reserved, cost_formula,
           replays, asynchronous, enabled
    from operation order by service_id, path_pattern, method
"""
_SERVICES_PER_TURN = 32
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Tables:
    """All plans and routes as they were in one transaction; `versions` as plans by their own ids, `held` as read."""

    plans: dict[UUID, PlanSnapshot]
    routes: RouteIndex
    versions: dict[UUID, PlanSnapshot]
    held: dict[UUID, HeldVersion]


async def read_tables(connection: PooledConnection, held: Mapping[UUID, HeldVersion] = MappingProxyType({})) -> Tables:
    """Read and build, but for versions in `held`; gives other work on the event loop its turn while it builds."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        plan_rows = await connection.fetch(_PLANS)
        limit_rows = await connection.fetch(_LIMITS)
        price_rows = await connection.fetch(_PRICES)
        service_rows = await connection.fetch(_SERVICES)
        operation_rows = await connection.fetch(_OPERATIONS)
        versions = await read_versions(connection, held)
    limits: defaultdict[UUID, list[LimitSnapshot]] = defaultdict(list)
    for row in limit_rows:
        limits[row["plan_id"]].append(_limit(row))
    prices, quota_costs = _by_plan(price_rows, "price_micro"), _by_plan(price_rows, "quota_cost")
    plans = {
        row["id"]: PlanSnapshot(
            row["id"], row["slug"], row["name"], row["sort_order"], tuple(limits[row["id"]]), row["overage"],
            prices.get(row["id"], {}), quota_costs.get(row["id"], {}), row["trial_calls"],
        )
        for row in plan_rows
    }  # fmt: skip
    operations: defaultdict[UUID, list[OperationSnapshot]] = defaultdict(list)
    for row in operation_rows:
        operations[row["service_id"]].append(_operation(row))
    services = []
    for number, row in enumerate(service_rows, 1):
        services.append(_service(row, tuple(operations[row["id"]])))
        if number % _SERVICES_PER_TURN == 0:
            await asyncio.sleep(0)
    return Tables(plans, RouteIndex(services), version_plans(versions, plans), versions)


def _by_plan(rows: list[asyncpg.Record], column: str) -> dict[UUID, dict[UUID, int]]:
    """What plans say of operations in one column, by plan and operation."""
    found: defaultdict[UUID, dict[UUID, int]] = defaultdict(dict)
    for row in rows:
        if row[column] is not None:
            found[row["plan_id"]][row["operation_id"]] = row[column]
    return found


def _limit(row: asyncpg.Record) -> LimitSnapshot:
    return LimitSnapshot(
        id=row["id"],
        name=row["name"],
        amount=row["amount"],
        period=row["period"],
        scope=row["scope"],
        shadow=row["shadow"],
        service_id=row["service_id"],
        operation_id=row["operation_id"],
        unit=row["unit"],
    )


def _operation(row: asyncpg.Record) -> OperationSnapshot:
    return OperationSnapshot(
        id=row["id"],
        name=row["name"],
        method=row["method"],
        path_pattern=row["path_pattern"],
        price_micro=row["price_micro"],
        reserved=row["reserved"],
        enabled=row["enabled"],
        quota_cost=row["quota_cost"],
        minimum_plan_id=row["minimum_plan_id"],
        cost_formula=row["cost_formula"],
        replays=row["replays"],
        asynchronous=row["asynchronous"],
    )


def _service(row: asyncpg.Record, operations: tuple[OperationSnapshot, ...]) -> ServiceSnapshot:
    return ServiceSnapshot(
        id=row["id"],
        slug=row["slug"],
        name=row["name"],
        enabled=row["enabled"],
        coming_soon=row["coming_soon"],
        minimum_plan_id=row["minimum_plan_id"],
        route_prefix=row["route_prefix"].encode(),
        keep_prefix=row["keep_prefix"],
        upstreams=_upstreams(row),
        charge_on=row["charge_on"],
        connect_timeout=row["connect_timeout_ms"] / 1000,
        first_byte_timeout=row["first_byte_timeout_ms"] / 1000,
        idle_timeout=row["idle_timeout_ms"] / 1000,
        total_timeout=row["total_timeout_ms"] / 1000,
        max_connections=row["max_connections"],
        max_body_bytes=row["max_body_bytes"],
        cors_origins=frozenset(row["cors_origins"]),
        operations=operations,
        job_timeout=float(row["job_timeout_seconds"]),
    )


def _upstreams(row: asyncpg.Record) -> tuple[UpstreamSnapshot, ...]:
    """Those that can be used; a broken one is logged and left out, and never stops the others."""
    entries: Any = row["upstreams"]
    if isinstance(entries, str):
        entries = json.loads(entries)
    upstreams = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            upstreams.append(parse_upstream(entry["url"], entry.get("weight", 1), tls_verify=row["tls_verify"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            _log.error("service %s has an upstream that is no http(s) URL: left out", row["slug"])
    return tuple(upstreams)


def parse_upstream(url: str, weight: int = 1, *, tls_verify: bool = True) -> UpstreamSnapshot:
    """An upstream from its URL. Raises ValueError for anything but http(s)://host[:port][/path]."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("an upstream is http(s)://host[:port][/path], without user information")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("an upstream URL has no query, no fragment, and only visible ASCII")
    if ".." in path.split("/") or "." in path.split("/"):
        raise ValueError("an upstream URL has no dot segments")
    return UpstreamSnapshot(
        url=url,
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        path=path.encode(),
        host_header=_host_header(parts),
        tls_verify=tls_verify,
        weight=max(int(weight), 0),
    )


def _host_header(parts: SplitResult) -> bytes:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    default = parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme]
    return (host if default else f"{host}:{parts.port}").encode()

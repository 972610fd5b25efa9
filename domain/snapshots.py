"""What the data plane knows of the business: immutable pictures of rows, made by the catalog, shared by all requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from uuid import UUID

Network = IPv4Network | IPv6Network

NO_ID = UUID(int=0)
"""Stands in rollups where a dimension is unknown."""


@dataclass(frozen=True, slots=True)
class LimitSnapshot:
    """One limit of a plan. `period` is second, minute, hour, day, month, or `concurrent` for a cap on requests in progress.

    `scope` says who shares it: organization or key. `service_id` and `operation_id` narrow what it counts; None is all.
    """

    id: UUID
    name: str
    amount: int
    period: str
    scope: str
    shadow: bool
    service_id: UUID | None = None
    operation_id: UUID | None = None
    unit: str = "requests"
    """What it counts: requests; quota: the units that each operation takes; credits: micro-credits, of a spend cap."""


@dataclass(frozen=True, slots=True)
class PlanSnapshot:
    """A plan's terms; `rank` orders plans from lowest to highest for minimum-plan checks (its sort_order).

    `prices` (micro-credits) and `quota_costs` (units) hold, by operation, only what differs from the operation's own.
    `overage` says what happens when quotas are used up: block or credits. `trial_calls`: most requests in a trial.
    """

    id: UUID
    slug: str
    name: str
    rank: int
    limits: tuple[LimitSnapshot, ...]
    overage: str = "block"
    prices: Mapping[UUID, int] = field(default_factory=dict)
    quota_costs: Mapping[UUID, int] = field(default_factory=dict)
    trial_calls: int | None = None


@dataclass(frozen=True, slots=True)
class LimitOverride:
    """Another amount of the limit `name` for one organization, or whether it is only counted; None is as the plan says.

    `until` is Unix seconds, None for good.
    """

    name: str
    amount: int | None = None
    shadow: bool | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One API key with its organization and subscription as they were when read.

    `expires_at` is Unix seconds or None. `plan_id` is None without a live subscription. `scopes` empty means all;
    otherwise service slugs or `service:operation-name`. `plan_version_id` is None where the plan's own terms hold.
    `access_until` (Unix seconds) is when the plan stops to apply if nobody does anything; None: never.
    `spend_caps` are the organization's and the key's own (`domain.spend_caps`).
    """

    id: UUID
    organization_id: UUID
    organization_slug: str
    organization_state: str
    plan_id: UUID | None
    plan_slug: str
    name: str
    prefix: str
    environment: str
    scopes: frozenset[str]
    allowed_ips: tuple[Network, ...]
    expires_at: float | None
    revoked: bool
    period_start: float | None = None
    period_end: float | None = None
    billing_mode: str = "credits"
    spend_caps: tuple[LimitSnapshot, ...] = ()
    plan_version_id: UUID | None = None
    access_until: float | None = None
    trialing: bool = False
    overrides: tuple[LimitOverride, ...] = ()
    period_anchor: float | None = None
    """What months are counted from, where that is not `period_start`."""

    @property
    def month_anchor(self) -> float | None:
        """What months are counted from (Unix seconds); None is the calendar."""
        return self.period_start if self.period_anchor is None else self.period_anchor


@dataclass(frozen=True, slots=True)
class UpstreamSnapshot:
    """One origin. `path` is the upstream's own base path without a trailing slash (bytes, may be empty)."""

    url: str
    scheme: str
    host: str
    port: int
    path: bytes
    host_header: bytes
    tls_verify: bool
    weight: int = 1


@dataclass(frozen=True, slots=True)
class OperationSnapshot:
    """One priced operation; `price_micro` in micro-credits, `quota_cost` in units of the plan's quotas."""

    id: UUID
    name: str
    method: str
    path_pattern: str
    price_micro: int
    reserved: bool
    enabled: bool
    quota_cost: int = 1
    minimum_plan_id: UUID | None = None
    cost_formula: str = ""
    replays: bool = False
    asynchronous: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSnapshot:
    """One upstream API as it is sold. Timeouts in seconds; 0 means none. `max_body_bytes` 0 means no limit.

    `job_timeout`: from the acceptance of a job to its end.
    """

    id: UUID
    slug: str
    name: str
    enabled: bool
    coming_soon: bool
    minimum_plan_id: UUID | None
    route_prefix: bytes
    keep_prefix: bool
    upstreams: tuple[UpstreamSnapshot, ...]
    charge_on: str
    connect_timeout: float
    first_byte_timeout: float
    idle_timeout: float
    total_timeout: float
    max_connections: int
    max_body_bytes: int
    cors_origins: frozenset[str]
    operations: tuple[OperationSnapshot, ...] = field(default=())
    job_timeout: float = 3600.0


@dataclass(frozen=True, slots=True)
class Match:
    """A request's service, its operation if one is declared for it, and the path behind the prefix (canonical bytes)."""

    service: ServiceSnapshot
    operation: OperationSnapshot | None
    rest: bytes

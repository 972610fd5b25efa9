"""What a known key may do: checks that cost nothing, before anything is counted. Refuses with 403 or 413."""

import time
from typing import TYPE_CHECKING

from domain.refusals import (
    AddressNotAllowed,
    BodyTooLarge,
    NoSubscription,
    OrganizationSuspended,
    PlanTooLow,
    ScopeMissing,
)
from gateway.client_address import parse_address, within

if TYPE_CHECKING:
    from uuid import UUID

    from domain.snapshots import KeySnapshot, Match
    from gateway.exchange import Exchange


def check_access(exchange: "Exchange") -> None:
    """Organization, subscription, plan, scopes, address and announced size, in this order; sets `exchange.plan`."""
    key, matched = exchange.key, exchange.matched
    if key.organization_state != "active":
        raise OrganizationSuspended
    if not subscribed(key):
        raise NoSubscription
    exchange.plan = exchange.services.catalog.plan_of(key)
    _check_rank(exchange, matched.service.minimum_plan_id, matched.service.name)
    if matched.operation is not None:
        _check_rank(exchange, matched.operation.minimum_plan_id, matched.operation.name)
    if key.scopes and not in_scope(key, matched):
        raise ScopeMissing
    if key.allowed_ips:
        address = parse_address(exchange.address)
        if address is None or not within(address, key.allowed_ips):
            raise AddressNotAllowed
    announced, most = exchange.request.body, exchange.max_body_bytes
    if most and announced is not None and announced > most:
        raise BodyTooLarge(max_bytes=most)


def subscribed(key: "KeySnapshot") -> bool:
    """Whether a plan applies at this moment; the same as `domain.entitlements` says."""
    if key.plan_id is None:
        return False
    return key.access_until is None or time.time() < key.access_until


def _check_rank(exchange: "Exchange", minimum_plan_id: "UUID | None", what: str) -> None:
    """A service or an operation may need a plan of some rank."""
    if minimum_plan_id is None:
        return
    minimum = exchange.services.catalog.plan(minimum_plan_id)
    if exchange.plan.rank < minimum.rank:
        raise PlanTooLow(f"{what} needs the plan {minimum.name}.", required_plan=minimum.slug)


def in_scope(key: "KeySnapshot", matched: "Match") -> bool:
    """A scope is a service's slug, or `service:operation-name` for one operation of it."""
    slug = matched.service.slug
    return slug in key.scopes or (matched.operation is not None and f"{slug}:{matched.operation.name}" in key.scopes)

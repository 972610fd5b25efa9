"""What a known key may do: checks that cost nothing, before anything is counted. Refuses with 403 or 413."""

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
    from domain.snapshots import KeySnapshot, Match
    from gateway.exchange import Exchange


def check_access(exchange: "Exchange") -> None:
    """Organization, subscription, plan, scopes, address and announced size, in this order; sets `exchange.plan`."""
    key, matched = exchange.key, exchange.matched
    if key.organization_state != "active":
        raise OrganizationSuspended
    if key.plan_id is None:
        raise NoSubscription
    plan = exchange.plan = exchange.services.catalog.plan(key.plan_id)
    if matched.service.minimum_plan_id is not None:
        minimum = exchange.services.catalog.plan(matched.service.minimum_plan_id)
        if plan.rank < minimum.rank:
            raise PlanTooLow(f"{matched.service.name} needs the plan {minimum.name}.", required_plan=minimum.slug)
    if key.scopes and not in_scope(key, matched):
        raise ScopeMissing
    if key.allowed_ips:
        address = parse_address(exchange.address)
        if address is None or not within(address, key.allowed_ips):
            raise AddressNotAllowed
    announced, most = exchange.request.body, exchange.max_body_bytes
    if most and announced is not None and announced > most:
        raise BodyTooLarge(max_bytes=most)


def in_scope(key: "KeySnapshot", matched: "Match") -> bool:
    """A scope is a service's slug, or `service:operation-name` for one operation of it."""
    slug = matched.service.slug
    return slug in key.scopes or (matched.operation is not None and f"{slug}:{matched.operation.name}" in key.scopes)

"""Plans and organizations on them, each of a test's own."""

from dataclasses import dataclass

import pytest

from domain import organizations, plans
from domain.limit_texts import parse_limits
from domain.organizations import OrganizationRecord
from tests.subscriptions import fresh


@dataclass
class Customer:
    """An organization on a plan of its own, and another plan to go to."""

    organization: OrganizationRecord
    plan: str
    other: str


@pytest.fixture
async def connection(office):
    """A connection that commits each statement, or what is in a transaction of its own."""
    async with office.pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def customer(connection) -> Customer:
    """An organization on a plan of 100 requests an hour for 10.00, and a plan of 900 for 49.00."""
    small, large = fresh("small"), fresh("large")
    await plans.create(connection, slug=small, limits=parse_limits(["100/hour", "1000/day"]), price_cents=1_000)
    await plans.create(connection, slug=large, limits=parse_limits(["900/hour"]), price_cents=4_900, sort_order=5)
    made = await organizations.create(connection, name=fresh("Customer"), plan_slug=small)
    return Customer(made, small, large)

"""An organization of its own for each test of webhooks."""

import pytest

from tests.webhook_tenants import Tenant, new_tenant


@pytest.fixture
async def tenant(pool) -> Tenant:
    """A new organization; what other tests left waiting is given up."""
    return await new_tenant(pool)

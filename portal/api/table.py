"""Every endpoint of the API, in the order of its description."""

from portal.api import (
    account,
    account_factor,
    account_sessions,
    account_tokens,
    auth,
    dashboard,
    keys,
    organization,
    organizations,
    services,
    settings,
)
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *organizations.ENDPOINTS,
    *organization.ENDPOINTS,
    *dashboard.ENDPOINTS,
    *keys.ENDPOINTS,
    *services.ENDPOINTS,
    *settings.ENDPOINTS,
    *account.ENDPOINTS,
    *account_factor.ENDPOINTS,
    *account_sessions.ENDPOINTS,
    *account_tokens.ENDPOINTS,
)
from portal.api import audit, organization, webhooks
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (*organization.ENDPOINTS, *webhooks.ENDPOINTS, *audit.ENDPOINTS)

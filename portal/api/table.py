"""Every endpoint of the API, in the order of its description."""

from portal.api import (
    account,
    account_factor,
    account_sessions,
    account_tokens,
    auth,
    keys,
    organization,
    organizations,
    services,
    settings,
)
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *organization.ENDPOINTS,
    *organizations.ENDPOINTS,
    *keys.ENDPOINTS,
    *services.ENDPOINTS,
    *account.ENDPOINTS,
    *account_factor.ENDPOINTS,
    *account_sessions.ENDPOINTS,
    *account_tokens.ENDPOINTS,
    *settings.ENDPOINTS,
)

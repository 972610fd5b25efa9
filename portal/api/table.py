"""Every endpoint of the API, in the order of its description."""

from portal.api import (
    account,
    account_factor,
    account_sessions,
    account_tokens,
    auth,
    organization,
    organizations,
    settings,
)
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *organization.ENDPOINTS,
    *organizations.ENDPOINTS,
    *account.ENDPOINTS,
    *account_factor.ENDPOINTS,
    *account_sessions.ENDPOINTS,
    *account_tokens.ENDPOINTS,
    *settings.ENDPOINTS,
from portal.api import keys, organization, services
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *organization.ENDPOINTS,
    *keys.ENDPOINTS,
    *services.ENDPOINTS,
)

"""Every endpoint of the API, in the order of its description."""

from portal.api import (
    account,
    account_factor,
    account_sessions,
    account_tokens,
    audit,
    auth,
    dashboard,
    keys,
    logs,
    organization,
    organizations,
    services,
    settings,
    webhooks,
)
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *organizations.ENDPOINTS,
    *organization.ENDPOINTS,
    *dashboard.ENDPOINTS,
    *keys.ENDPOINTS,
    *logs.ENDPOINTS,
    *services.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *audit.ENDPOINTS,
    *settings.ENDPOINTS,
    *account.ENDPOINTS,
    *account_factor.ENDPOINTS,
    *account_sessions.ENDPOINTS,
    *account_tokens.ENDPOINTS,
from portal.api import invitations, organization, plans, subscription, team
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *organization.ENDPOINTS,
    *team.ENDPOINTS,
    *invitations.ENDPOINTS,
    *plans.ENDPOINTS,
    *subscription.ENDPOINTS,
)

"""Every endpoint of the API, in the order of its description."""

from portal.api import (
    account,
    account_factor,
    account_sessions,
    account_tokens,
    audit,
    auth,
    dashboard,
    invitations,
    keys,
    logs,
    organization,
    organizations,
    plans,
    services,
    settings,
    subscription,
    team,
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
    *plans.ENDPOINTS,
    *subscription.ENDPOINTS,
    *team.ENDPOINTS,
    *invitations.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *audit.ENDPOINTS,
    *settings.ENDPOINTS,
    *account.ENDPOINTS,
    *account_factor.ENDPOINTS,
    *account_sessions.ENDPOINTS,
    *account_tokens.ENDPOINTS,
)

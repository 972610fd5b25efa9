"""Every endpoint of the API, in the order of its description."""

from portal.api import invitations, ledger, organization, plans, subscription, team
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *organization.ENDPOINTS,
    *team.ENDPOINTS,
    *invitations.ENDPOINTS,
    *plans.ENDPOINTS,
    *subscription.ENDPOINTS,
    *ledger.ENDPOINTS,
)

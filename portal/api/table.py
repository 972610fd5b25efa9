"""Every endpoint of the API, in the order of its description."""

from portal.api import audit, organization, webhooks
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (*organization.ENDPOINTS, *webhooks.ENDPOINTS, *audit.ENDPOINTS)

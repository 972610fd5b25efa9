"""Every endpoint of the API, in the order of its description."""

from portal.api import keys, organization, services
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *organization.ENDPOINTS,
    *keys.ENDPOINTS,
    *services.ENDPOINTS,
)

"""Every endpoint of the API, in the order of its description."""

from portal.api import auth, organization, organizations
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *organization.ENDPOINTS,
    *organizations.ENDPOINTS,
)

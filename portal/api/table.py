"""Every endpoint of the API, in the order of its description."""

from portal.api import account, organization, settings
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *organization.ENDPOINTS,
    *account.ENDPOINTS,
    *settings.ENDPOINTS,
)

"""Every endpoint of the API, in the order of its description."""

from portal.api import logs, organization
from portal.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (*logs.ENDPOINTS, *organization.ENDPOINTS)

"""Every page of the portal and what each method of it does."""

from portal.pages import audit, organization, webhook_deliveries, webhooks
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (*organization.PAGES, *webhooks.PAGES, *webhook_deliveries.PAGES, *audit.PAGES)

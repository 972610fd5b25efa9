"""Every page of the portal and what each method of it does."""

from portal.pages import dashboard, organization
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (*dashboard.PAGES, *organization.PAGES)

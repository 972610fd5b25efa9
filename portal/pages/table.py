"""Every page of the portal and what each method of it does."""

from portal.pages import logs, organization
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (*logs.PAGES, *organization.PAGES)

"""Every page of the portal and what each method of it does."""

from portal.pages import account, organization
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *account.PAGES,
)

"""Every page of the portal and what each method of it does."""

from portal.pages import forgotten, mailbox, organization, organizations, sign_in, sign_up
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *sign_up.PAGES,
    *sign_in.PAGES,
    *forgotten.PAGES,
    *organizations.PAGES,
    *mailbox.PAGES,
)

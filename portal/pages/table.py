"""Every page of the portal and what each method of it does."""

from portal.pages import key_changing, key_making, keys, organization
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *key_making.PAGES,
    *key_changing.PAGES,
    *keys.PAGES,
)

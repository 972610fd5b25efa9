"""Every page of the portal and what each method of it does."""

from portal.pages import key_changing, key_making, keys, operations, organization, services
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *key_making.PAGES,
    *key_changing.PAGES,
    *keys.PAGES,
    *services.PAGES,
    *operations.PAGES,
)

"""Every page of the portal and what each method of it does."""

from portal.pages import credit_statistics, invitation, ledger, member, organization, subscription, team
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *team.PAGES,
    *member.PAGES,
    *invitation.PAGES,
    *subscription.PAGES,
    *ledger.PAGES,
    *credit_statistics.PAGES,
)

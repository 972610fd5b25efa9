"""Every page of the portal and what each method of it does."""

from portal.pages import (
    account,
    account_connections,
    account_deletion,
    account_factor,
    account_security,
    account_sessions,
    account_tokens,
    dashboard,
    elsewhere,
    forgotten,
    key_changing,
    key_making,
    keys,
    mailbox,
    operations,
    organization,
    organizations,
    proof,
    second_step,
    services,
    sign_in,
    sign_up,
)
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *account.PAGES,
    *account_connections.PAGES,
    *account_deletion.PAGES,
    *account_factor.PAGES,
    *account_security.PAGES,
    *account_sessions.PAGES,
    *account_tokens.PAGES,
    *dashboard.PAGES,
    *elsewhere.PAGES,
    *forgotten.PAGES,
    *key_changing.PAGES,
    *key_making.PAGES,
    *keys.PAGES,
    *mailbox.PAGES,
    *operations.PAGES,
    *organization.PAGES,
    *organizations.PAGES,
    *proof.PAGES,
    *second_step.PAGES,
    *services.PAGES,
    *sign_in.PAGES,
    *sign_up.PAGES,
)
from portal.pages import audit, organization, webhook_deliveries, webhooks
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (*organization.PAGES, *webhooks.PAGES, *webhook_deliveries.PAGES, *audit.PAGES)

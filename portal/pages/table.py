"""Every page of the portal and what each method of it does."""

from portal.pages import (
    account,
    account_connections,
    account_deletion,
    account_factor,
    account_security,
    account_sessions,
    account_tokens,
    elsewhere,
    forgotten,
    organization,
    organizations,
    proof,
    second_step,
    sign_in,
    sign_up,
)
from portal.pages import key_changing, key_making, keys, operations, organization, services
from portal.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *organization.PAGES,
    *account.PAGES,
    *account_security.PAGES,
    *account_factor.PAGES,
    *account_sessions.PAGES,
    *account_connections.PAGES,
    *account_tokens.PAGES,
    *account_deletion.PAGES,
    *proof.PAGES,
    *second_step.PAGES,
    *elsewhere.PAGES,
    *sign_up.PAGES,
    *sign_in.PAGES,
    *forgotten.PAGES,
    *organizations.PAGES,
    *key_making.PAGES,
    *key_changing.PAGES,
    *keys.PAGES,
    *services.PAGES,
    *operations.PAGES,
)

"""Every page of the back office and what each method of it does; actions have a table of their own."""

from admin.pages import (
    account,
    actions,
    async_jobs,
    audit,
    find,
    home,
    jobs,
    keys,
    mails,
    operators,
    organizations,
    plans,
    reports,
    requests,
    sign_in,
    users,
    what_if,
)
from admin.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *account.PAGES,
    *actions.PAGES,
    *async_jobs.PAGES,
    *audit.PAGES,
    *find.PAGES,
    *home.PAGES,
    *mails.PAGES,
    *jobs.PAGES,
    *keys.PAGES,
    *operators.PAGES,
    *organizations.PAGES,
    *plans.PAGES,
    *reports.PAGES,
    *requests.PAGES,
    *sign_in.PAGES,
    *users.PAGES,
    *what_if.PAGES,
)

"""Every page of the back office and what each method of it does; actions have a table of their own."""

from admin.pages import (
    account,
    actions,
    home,
    mails,
    sign_in,
)
from admin.web.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *account.PAGES,
    *actions.PAGES,
    *home.PAGES,
    *mails.PAGES,
    *sign_in.PAGES,
)

"""A back office and a portal on the same databases, and an operator on the way from one to the other."""

import re
from dataclasses import dataclass
from html import unescape

from tests.admins import BackOffice, OperatorBrowser, TestOperator
from tests.portals import Browser, Portal

_LINK = re.compile(r'href="(http[^"]+/acting/[A-Za-z0-9_-]+)"')


@dataclass
class Faces:
    """Both faces."""

    office: BackOffice
    portal: Portal

    async def link(self, operator: TestOperator, slug: str, **values: str) -> str:
        """The path of a new link into the portal."""
        return await link_of(operator.browser, slug, self.portal, **values)

    async def acting(self, operator: TestOperator, slug: str, **values: str) -> Browser:
        """A browser in which the operator acts as the organization."""
        path, browser = await self.link(operator, slug, **values), self.portal.browser()
        assert (await browser.get(path)).status_code == 200
        answer = await browser.post(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/o/{slug}")
        return browser


async def link_of(browser: OperatorBrowser, slug: str, portal: Portal, **values: str) -> str:
    """The path of the link that the action gives."""
    answer = await browser.act("act-as-customer", "a customer asked for help", organization=slug, **values)
    assert answer.status_code == 200, answer.text
    url = unescape(_LINK.search(answer.text)[1])
    assert url.startswith(portal.settings.portal.base_url)
    return url.removeprefix(portal.settings.portal.base_url)

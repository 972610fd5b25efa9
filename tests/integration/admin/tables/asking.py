"""piccolo-admin's script in a test: what it asks of a table, with the token that it would send."""

from typing import Any

import httpx2

from tests.admins import OperatorBrowser

API = "/tables/api/tables"


async def ask(browser: OperatorBrowser, path: str, /, **query: Any) -> httpx2.Response:
    """GET of a table, such as `plan/` or `plan/count/`."""
    return await browser.client.get(f"{API}/{path}", params=query)


async def send(browser: OperatorBrowser, method: str, path: str, json: Any = None, **options: Any) -> httpx2.Response:
    """An unsafe request as the page's script makes it."""
    headers = {"x-csrftoken": browser.csrf, **options.pop("headers", {})}
    return await browser.client.request(method, f"{API}/{path}", json=json, headers=headers, **options)


async def row_of(browser: OperatorBrowser, table: str, row: Any) -> dict[str, Any]:
    """The row as the page shows it."""
    answer = await ask(browser, f"{table}/{row}/")
    assert answer.status_code == 200, answer.text
    return answer.json()

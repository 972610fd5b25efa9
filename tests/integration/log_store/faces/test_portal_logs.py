"""Every test of the portal's request logs again, with the rows in ClickHouse."""

from tests.integration.portal.test_logs import *  # noqa: F403


async def test_the_rows_of_the_page_came_out_of_clickhouse(portal, owner, logs):
    before = portal.app.state.services.logs.moved
    page = await owner.browser.get(f"{owner.root}/logs")
    assert str(logs["served"]) in page.text
    assert portal.app.state.services.logs.moved >= before + 5
    assert await portal.pool.fetchval("select count(*) from request_log") == 0

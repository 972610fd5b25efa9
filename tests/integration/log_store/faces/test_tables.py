"""The table whose older rows are in ClickHouse says so, and only where they are."""

import copy
from dataclasses import replace

import pytest
from pydantic import SecretStr


@pytest.mark.parametrize("table", ["request_log", "organization"])
async def test_a_table_says_where_its_older_rows_are(office, superuser, log_store_url, table):
    async def told() -> str:
        answer = await superuser.browser.get(f"/tables/api/tables/{table}/schema/")
        assert answer.status_code == 200
        return answer.json()["extra"]["help_text"]

    before = await told()
    assert "log store" not in before
    services = office.app.state.services
    settings = copy.copy(services.settings)
    settings.__dict__["logs"] = services.settings.logs.model_copy(update={"store_url": SecretStr(log_store_url)})
    office.app.state.services = replace(services, settings=settings)
    try:
        after = await told()
    finally:
        office.app.state.services = services
    assert ("in the log store" in after) == (table == "request_log")
    assert after.startswith(before.split(" You can look")[0])
    assert log_store_url not in after

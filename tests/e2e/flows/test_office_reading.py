"""What an operator looks at and takes home: a report as a file, the audit of all that was done, the portal as a customer."""

import csv
from pathlib import Path

import pytest

from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]


async def test_a_report_is_downloaded_as_csv_with_the_rows_of_its_page(operator):
    await operator.client("Reported Reefs", "free")
    await operator.go("/reports")
    await operator.press("Key hygiene")
    shown = await operator.page.locator("main tbody tr").count()
    async with operator.page.expect_download() as waiting:
        await operator.press("CSV")
    download = await waiting.value
    assert download.suggested_filename.endswith(".csv")
    with Path(await download.path()).open(newline="") as file:
        rows = list(csv.reader(file))
    titles = await operator.page.locator("main thead th").all_inner_texts()
    assert len(rows[0]) >= len(titles) - 1
    assert len(rows) - 1 == shown > 0
    assert any("Reported Reefs" in cell or "reported-reefs" in cell for row in rows for cell in row)


async def test_the_audit_tells_every_step_of_the_day_with_its_reason_and_who(operator):
    await operator.client("Audited Alps", "free")
    await operator.go(f"/audit?actor={operator.email}")
    told, pages = "", 0
    while True:
        told += await operator.page.locator("main").inner_text()
        pages += 1
        following = operator.page.get_by_role("link", name="Next")
        if not await following.count() or pages == 20:
            break
        await following.first.click()
        await operator.page.wait_for_load_state()
    assert [reason for reason in operator.reasons if f"Reason: {reason}" not in told] == []
    assert len(operator.reasons) >= 2
    assert operator.email in told


async def test_an_operator_sees_the_portal_as_the_customer_does_and_can_only_look(operator):
    client = await operator.client("Acted As", "free")
    await operator.act(f"act-as-customer?organization={client.slug}", "they cannot find their keys")
    await operator.press("Act as Acted As")
    await operator.press("Begin")
    await operator.page.wait_for_url(f"**/o/{client.slug}**")
    banner = operator.page.locator(".acting")
    assert "act as Acted As, read-only" in await banner.inner_text()
    await operator.page.goto(operator.up.demo()["PORTAL_URL"] + f"/o/{client.slug}/keys")
    await operator.says("first key of Acted As")
    assert "read-only" in await banner.inner_text()
    await operator.press("Stop", within=".acting")
    await operator.go(f"/audit?organization={client.slug}")
    await operator.says("Reason: they cannot find their keys")

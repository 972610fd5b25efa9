"""The page of alerts: what stands and what ended, what is behind each, snoozing, and what each role sees."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import uuid4

import pytest

from domain.operators import OPERATOR_ROLES, Right
from domain.runbook import ALERTS, sections

INSERT = """
insert into alert_state (kind, subject, organization_id, name, level, value, threshold, period_ends, since, raised_level, raised_at)
values ($1, $2, $3, $4, $5::smallint, $6, $7, $8, $9, 100, $9) returning id
"""


async def stands(
    office, kind, name, *, subject="", organization=None, level=100, value=5, threshold=22, ends=None, ago=1
):
    """An alert that reached its level so many minutes ago; its id."""
    since = datetime.now(UTC) - timedelta(minutes=ago)
    return await office.pool.fetchval(
        INSERT, kind, subject or str(uuid4()), organization and organization.id, name, level, value, threshold, ends, since
    )  # fmt: skip


async def page_of(operator, query=""):
    answer = await operator.browser.get(f"/alerts{query}")
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", answer.text))


def row_of(page, name):
    """The row of a table that names it."""
    return next(row for row in page.split("<tr>") if name in row)


async def test_what_fails_leads_to_the_service_its_report_and_the_runbook(office, superuser):
    service, name = uuid4(), f"Weather {uuid4().hex[:8]}"
    alert_id = await stands(office, "error_rate", name, subject=f"{service}/all")
    row = row_of(await page_of(superuser), name)
    assert "5 of 22 requests (22.7" in row
    for path in (
        f"/tables/#/service/{service}", "/reports/errors-by-service?window=1h", "/runbook#a-service-fails-many-requests",
        f"/actions/snooze-alert?alert={alert_id}",
    ):  # fmt: skip
        assert f'href="{path}"' in row


async def test_one_organization_is_shown_with_its_figures_and_its_ended_ones_below(office, superuser):
    organization = await office.organization("Ärger & Söhne <b>bold</b>")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await stands(office, "usage", "month", organization=organization, level=80, value=8, threshold=10, ends=tomorrow)
    await stands(office, "credits_low", "credits", organization=organization, value=9_500_000, threshold=10_000_000)
    await stands(office, "spend_cap", "spend_cap.day", organization=organization, level=0, ago=30)
    page = await page_of(superuser, f"?organization={organization.slug}")
    assert "9.5 left, below 10" in page
    assert "80 %" in row_of(page, ": month")
    assert "8 of 10" in row_of(page, ": month")
    assert f'href="/organizations/{organization.slug}"' in row_of(page, ": month")
    assert "Snooze" not in row_of(page, ": month"), "customers are told of their own"
    assert "spend_cap.day" in page.split("Ended within a day")[1]
    only = await page_of(superuser, f"?organization={organization.slug}&kind=usage")
    assert ": month" in only
    assert "9.5 left" not in only
    raw = (await superuser.browser.get(f"/alerts?organization={organization.slug}")).text
    assert "<b>bold</b>" not in raw


async def test_where_nothing_stands_that_is_said(office, superuser):
    organization = await office.organization()
    page = await page_of(superuser, f"?organization={organization.slug}")
    assert page.count("Nothing stands") == 2
    assert "Ended within a day" not in page
    assert "<code>ALERT_EMAIL</code> is not set" in page
    assert (await superuser.browser.get("/alerts?organization=nobody-at-all")).status_code == 404
    assert (await superuser.browser.get("/alerts?kind=nonsense")).status_code == 200


async def test_an_alert_is_snoozed_and_woken_and_the_overview_counts_it(office, superuser):
    async def counted():
        found = re.search(r"(\d+) alerts? stands?\.", (await superuser.browser.get("/")).text)
        return int(found[1]) if found else 0

    name = f"Day {uuid4().hex[:8]}"
    before = await counted()
    alert_id = await stands(office, "day_cost", name, value=5_000_000, threshold=4_000_000)
    assert await counted() == before + 1
    until = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m-%dT%H:%M}"
    done = await superuser.browser.act("snooze-alert", "known to us", alert=str(alert_id), until=until)
    assert done.status_code == 200, done.text
    assert await counted() == before
    row = row_of(await page_of(superuser), name)
    assert "snoozed" in row
    assert "known to us" in row
    assert f'href="/actions/wake-alert?alert={alert_id}"' in row
    assert (await superuser.browser.act("wake-alert", alert=str(alert_id))).status_code == 200
    assert await counted() == before + 1
    again = await superuser.browser.act("wake-alert", alert=str(alert_id))
    assert (again.status_code, "not snoozed" in again.text) == (409, True)
    past = await superuser.browser.act("snooze-alert", alert=str(alert_id), until="2026-01-01T00:00")
    assert (past.status_code, "within 30 days" in past.text) == (422, True)


async def test_what_stands_of_who_is_suspended_is_not_shown(office, superuser):
    organization = await office.organization()
    await stands(office, "credits_low", "credits", organization=organization)
    await office.pool.execute("update organization set state = 'suspended' where id = $1", organization.id)
    assert (await page_of(superuser, f"?organization={organization.slug}")).count("Nothing stands") == 2


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_every_role_sees_alerts_and_may_snooze_only_with_the_right(office, role):
    operator = await office.operator(role)
    name = f"Weather {uuid4().hex[:8]}"
    alert_id = await stands(office, "error_rate", name, subject=f"{uuid4()}/{uuid4()}")
    row = row_of(await page_of(operator), name)
    may = Right.RUN in OPERATOR_ROLES[role]
    assert ("Snooze" in row) is may
    assert "/tables/#/operation/" in row
    answer = await operator.browser.get(f"/actions/snooze-alert?alert={alert_id}")
    assert answer.status_code == (200 if may else 403)


async def test_the_runbook_has_a_place_for_every_link(superuser):
    text = (await superuser.browser.get("/runbook")).text
    for anchor in {*ALERTS.values(), *(section.anchor for section in sections() if section.text)}:
        assert f'id="{anchor}"' in text
    assert "<code>error_rate</code>, to operators." in text

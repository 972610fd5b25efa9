"""The page and the API of alerts: what stands, thresholds of one's own, who may choose, what is refused."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

THRESHOLDS = {
    "usage_percents": [60, 90], "low_credits": "12.5", "day_cost": "3", "error_percent": 10, "error_requests": 50,
}  # fmt: skip
DEFAULT = {
    "usage_percents": [50, 80, 100], "low_credits": None, "day_cost": None, "error_percent": None, "error_requests": 100,
}  # fmt: skip
FORM = {
    "usage_percents": "60, 90 %", "low_credits": "12.5", "day_cost": "3", "error_percent": "10", "error_requests": "50",
}  # fmt: skip


async def stands(portal, person, kind, name, level, value, threshold, *, ends=None):
    await portal.pool.execute(
        "insert into alert_state (organization_id, kind, subject, name, level, value, threshold, period_ends)"
        " values ($1, $2, gen_random_uuid()::text, $3, $4, $5, $6, $7)",
        person.organization.id, kind, name, level, value, threshold, ends,
    )  # fmt: skip


async def page_of(person, status=200):
    answer = await person.browser.get(f"{person.root}/alerts")
    assert answer.status_code == status
    return unescape(re.sub(r"\s+", " ", answer.text))


async def kept(person):
    answer = await person.browser.api("GET", "/alerts")
    assert answer.status_code == 200, answer.text
    return answer.json()["thresholds"]


async def test_who_never_chose_sees_the_usual_thresholds_and_that_nothing_stands(portal):
    person = await portal.person()
    page = await page_of(person)
    assert "Nothing to tell" in page
    assert 'value="50, 80, 100"' in page
    assert "Empty: 10 % of what was last bought." in page
    assert await kept(person) == DEFAULT


async def test_what_stands_is_told_in_sentences_and_to_programs(portal):
    person = await portal.person()
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    await stands(portal, person, "usage", "month", 80, 8_000, 10_000, ends=ends)
    await stands(portal, person, "credits_low", "credits", 100, 9_500_000, 10_000_000)
    await stands(portal, person, "usage_errors", "errors", 100, 31, 120)
    await stands(portal, person, "usage_cost", "cost", 100, 3_500_000, 3_000_000, ends=ends)
    await stands(portal, person, "spend_cap", "spend_cap.day", 50, 1_000_000, 2_000_000, ends=ends)
    await stands(portal, person, "usage", "gone", 100, 1, 1, ends=ends - timedelta(days=1))
    page = await page_of(person)
    for sentence in (
        "8,000 of 10,000 of the limit month were used.", "9.5 credits were left, less than 10.",
        "31 of 120 requests within two hours failed.", "3.5 credits were spent in a day; you chose 3.",
        "1 of 2 credits of a spend cap were spent.",
    ):  # fmt: skip
        assert sentence in page
    assert "gone" not in page
    answer = (await person.browser.api("GET", "/alerts")).json()
    assert {(each["kind"], each["value"], each["threshold"], each["percent"]) for each in answer["open"]} == {
        ("usage", "8000", "10000", 80), ("credits_low", "9.5", "10", 100), ("usage_errors", "31", "120", 100),
        ("usage_cost", "3.5", "3", 100), ("spend_cap", "1", "2", 50),
    }  # fmt: skip
    other = await portal.person()
    assert (await other.browser.api("GET", "/alerts")).json()["open"] == []


async def test_thresholds_are_chosen_on_the_page_and_by_programs(portal):
    person = await portal.person()
    answer = await person.browser.post(f"{person.root}/alerts", FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{person.root}/alerts?done=saved")
    assert await kept(person) == THRESHOLDS
    assert 'value="60, 90"' in await page_of(person)
    answer = await person.browser.api("PUT", "/alerts/thresholds", json=DEFAULT)
    assert (answer.status_code, answer.json()) == (200, DEFAULT)
    assert await kept(person) == DEFAULT
    empty = dict.fromkeys(FORM, "")
    assert (await person.browser.post(f"{person.root}/alerts", empty)).status_code == 303
    assert await kept(person) == {**DEFAULT, "usage_percents": []}
    rows = await portal.pool.fetch(
        "select actor_name, verb from audit_entry where organization_id = $1 and verb like 'thresholds.%'",
        person.organization.id,
    )
    assert [tuple(row) for row in rows] == [(person.email, "thresholds.change")] * 3
    assert "changed the thresholds of alerts" in (await person.browser.get(f"{person.root}/audit")).text


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("usage_percents", "half", "'half' is no whole number"), ("usage_percents", "4", "between 5 and 100"),
        ("usage_percents", "10 20 30 40 50 60", "at most 5"), ("low_credits", "-1", "is no amount of credits"),
        ("day_cost", "0", "more than 0"), ("day_cost", "<b>x</b>", "is no amount of credits"),
        ("error_percent", "0", "between 1 and 100 percent"), ("error_percent", "ten", "is no whole number"),
        ("error_requests", "0", "lies between 1 and"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_said_and_stays_in_the_form(portal, field, text, says):
    person = await portal.person()
    answer = await person.browser.post(f"{person.root}/alerts", {**FORM, field: text})
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert says in page
    assert f'value="{text}"' in page
    assert "<b>x</b>" not in answer.text
    assert await kept(person) == DEFAULT


@pytest.mark.parametrize(
    "changes",
    [
        {"usage_percents": [101]}, {"usage_percents": [True]}, {"usage_percents": [10, 20, 30, 40, 50, 60]},
        {"low_credits": "-1"}, {"low_credits": 5}, {"day_cost": "0"}, {"error_percent": 0}, {"error_requests": 0},
        {"error_requests": None}, {"more": 1},
    ],
)  # fmt: skip
async def test_programs_are_told_what_cannot_be(portal, changes):
    person = await portal.person()
    answer = await person.browser.api("PUT", "/alerts/thresholds", json={**THRESHOLDS, **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")
    assert await kept(person) == DEFAULT


@pytest.mark.parametrize(
    ("role", "sees", "may"),
    [("admin", 200, True), ("billing", 200, True), ("developer", 200, False), ("viewer", 403, False)],
)
async def test_who_sees_and_who_chooses(portal, role, sees, may):
    owner = await portal.person()
    member = await portal.person(role, owner.organization)
    answer = await member.browser.get(f"{owner.root}/alerts")
    assert answer.status_code == sees
    if sees == 200:
        assert ('<button type="submit">Save</button>' in answer.text) is may
    assert (await member.browser.post(f"{owner.root}/alerts", FORM)).status_code == (303 if may else 403)
    assert ((await kept(owner)) == THRESHOLDS) is may

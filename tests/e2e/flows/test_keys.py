"""What a new customer does with keys: make, copy, call, look, be limited, rotate, revoke, take the logs away."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.e2e.flows.customer import run_curl, seconds_until
from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]
LOG_SECONDS, REVOKE_SECONDS = 2.0, 1.0


async def test_a_new_key_is_shown_once_and_its_curl_line_works(customer):
    await customer.go("keys")
    await customer.page.get_by_role("link", name=re.compile("New API key|Create the first one")).first.click()
    await customer.fill(name="first key")
    await customer.press("Create key")
    key, curl, path = await customer.shown_key()
    assert key.startswith("pe_live_")
    status, headers, body = run_curl(curl)
    assert (status, json.loads(body)["hello"]) == (200, "world")
    assert "ratelimit" in headers
    await customer.press("I have copied it")
    await customer.says("Requests today")
    assert customer.page.url.endswith(path)
    assert key not in await customer.page.content()


async def test_a_form_that_is_sent_again_makes_no_second_key(customer):
    key, _, _ = await customer.new_key("key of a double click")
    await customer.page.reload()
    await customer.says("This form was sent before")
    assert key not in await customer.page.content()
    await customer.go("keys?q=double")
    assert await customer.page.locator("tbody tr").count() == 1


async def test_the_copy_button_puts_the_key_into_the_clipboard_and_is_not_there_without_a_script(customer):
    await customer.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=customer.url)
    key, _, _ = await customer.new_key("copied key")
    button = customer.page.get_by_role("button", name="Copy key")
    assert await button.is_visible() is customer.scripted
    if customer.scripted:
        await button.click()
        await customer.page.get_by_role("button", name="Copied").first.wait_for()
        assert await customer.page.evaluate("navigator.clipboard.readText()") == key


async def test_a_call_is_in_the_logs_within_two_seconds(customer, record_testsuite_property):
    _, curl, _ = await customer.new_key("logged key")
    _, headers, _ = run_curl(curl)
    ended = time.monotonic()
    row = customer.page.locator(f"table.logs a[href$='{headers['x-request-id']}']")
    await customer.go("logs")
    while not await row.count():
        assert time.monotonic() - ended < LOG_SECONDS, "the call is not in the logs"
        await customer.page.reload()
    record_testsuite_property(f"seconds_until_logged, scripted {customer.scripted}", round(time.monotonic() - ended, 3))
    await row.click()
    await customer.says("How it was decided")
    await customer.says("logged key")


async def test_a_rate_limited_call_is_explained(customer):
    await customer.new_organization("Small Weather")
    await customer.change_plan("Tiny")
    _, curl, _ = await customer.new_key("limited key")
    seconds_until(lambda: run_curl(curl)[0] == 429, 20)
    status, headers, body = run_curl(curl)
    problem = json.loads(body)
    assert (status, problem["code"]) == (429, "rate_limited")
    assert 1 <= int(headers["retry-after"]) <= 120
    await _open_log(customer, headers["x-request-id"])
    await customer.says(re.compile(r"Used up: .*2.*minute.* There was room again .+ after this request"))
    assert await customer.page.get_by_role("link", name="Your limits and plans").count() == 1
    link = customer.page.get_by_role("link", name=re.compile("What rate_limited means"))
    assert (await customer.page.request.get(await link.get_attribute("href"))).status == 200


async def test_a_rotated_key_and_its_successor_both_work_and_the_old_one_shows_its_end(customer):
    old, _, path = await customer.new_key("rotated key")
    await customer.page.goto(customer.url + path)
    question = customer.page.locator("details.confirm", has_text="Rotate").first
    await question.locator("summary").click()
    await question.locator("select[name=overlap]").select_option("86400")
    await question.locator("button[type=submit]").click()
    new, _, _ = await customer.shown_key()
    await customer.says("Two keys for a while")
    assert old != new
    seconds_until(lambda: customer.up.call(new)[0] == 200, 2)
    assert customer.up.call(old)[0] == 200
    await customer.page.goto(customer.url + path)
    await customer.says("This key was rotated. It works until")
    await customer.says(re.compile("^replaced"))


async def test_a_revoked_key_is_refused_within_a_second(customer, record_testsuite_property):
    key, curl, path = await customer.new_key("revoked key")
    assert run_curl(curl)[0] == 200
    await customer.page.goto(customer.url + path)
    await customer.confirm("Revoke")
    await customer.says("The key is revoked")
    took = seconds_until(lambda: customer.up.call(key)[0] == 401, REVOKE_SECONDS)
    record_testsuite_property(f"seconds_until_refused, scripted {customer.scripted}", round(took, 3))
    await customer.page.reload()
    await customer.says(re.compile("^Revoked "))
    assert await customer.page.get_by_role("button", name="Revoke").count() == 0


@pytest.mark.parametrize("form", ["CSV", "JSON Lines"])
async def test_exported_logs_contain_the_call(customer, form):
    _, curl, path = await customer.new_key("exported key")
    _, headers, _ = run_curl(curl)
    request_id = headers["x-request-id"]
    await _open_log(customer, request_id)
    await customer.go(f"logs?key={path.rpartition('/')[2]}")
    await customer.page.locator("details.log-export summary").click()
    async with customer.page.expect_download() as waiting:
        await customer.press(form)
    download = await waiting.value
    rows = Path(await download.path()).read_text().splitlines()
    if form == "CSV":
        assert (len(rows), request_id in rows[1]) == (2, True)
        assert download.suggested_filename.endswith(".csv")
    else:
        assert [json.loads(row)["request_id"] for row in rows] == [request_id]
        assert download.suggested_filename.endswith(".jsonl")


async def _open_log(customer, request_id):
    """The page of a request, as soon as it is there."""
    deadline = time.monotonic() + 10
    while True:
        answer = await customer.page.goto(f"{customer.root}/logs/{request_id}")
        if answer.status == 200:
            return
        assert time.monotonic() < deadline

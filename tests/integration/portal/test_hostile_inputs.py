"""Hostile inputs: whatever somebody sends to a page, it is refused with a page, never by a fault of ours or a stuck process."""

import asyncio
import json
import re
import time
from pathlib import Path
from uuid import uuid4

import pytest

from domain.stored_json import stored_json
from portal.pages.table import PAGES
from portal.web import bodies
from portal.web.forgery import FIELD
from tests.portals import Person, Portal

TEMPLATES = Path(__file__).resolve().parents[3] / "portal" / "templates"
FIELDS = sorted(
    {name for file in TEMPLATES.glob("*.html") for name in re.findall(r'name="([a-z_.]+)"', file.read_text())}
)
EVIL = ("\x00", "9" * 400, "-1", "\u202e\u0661", "0001-01-01T00:00")
NEVER = ("/account/deletion", "/leave", "/close", "/sign-out", "/live")


def _path(person: Person, path: str) -> str:
    filled = path.replace("{organization}", person.organization.slug)
    filled = re.sub(r"\{[a-z_]+:uuid\}", str(uuid4()), filled)
    filled = re.sub(r"\{[a-z_]+:int\}", str(2**63), filled)
    return re.sub(r"\{[a-z_]+\}", "%00%ff", filled)


@pytest.mark.parametrize("value", EVIL, ids=("nul", "digits", "negative", "unicode", "year-1"))
async def test_no_value_in_a_query_or_a_form_is_a_fault_of_ours(portal: Portal, owner: Person, value):
    """Every page, every field name that a form of ours has."""
    failed = []
    for route in PAGES:
        path = _path(owner, route.path)
        if any(part in path for part in NEVER):
            continue
        if route.method == "GET":
            answer = await owner.browser.get(
                path, params=dict.fromkeys([*FIELDS, "cursor", "range", "from", "to", "actor"], value)
            )
        else:
            answer = await owner.browser.post(path, dict.fromkeys(FIELDS, value))
        if answer.status_code >= 500:
            failed.append((route.method, route.path, answer.status_code))
    assert not failed


def _multipart(charset: str, fields: dict[str, bytes]) -> dict:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields.items()
    ]
    return {
        "content": b"".join(parts) + b"--edge--\r\n",
        "headers": {"content-type": f"multipart/form-data; boundary=edge; charset={charset}"},
    }


async def test_a_form_in_a_costly_character_set_takes_no_time(portal: Portal):
    """Punycode is decoded in the square of its length: 40 kB held the whole process for half a second, 1 MB for minutes."""
    began = time.monotonic()
    answer = await portal.browser().client.post(
        "/sign-in", **_multipart("punycode", {"email": b"aaa-" + b"b" * 100_000})
    )
    assert time.monotonic() - began < 0.5
    assert answer.status_code == 415


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "idna"])
async def test_a_form_cannot_choose_a_character_set_that_makes_half_characters(owner: Person, charset):
    browser = owner.browser
    fields = {
        FIELD: browser.csrf.encode(),
        "name": b"+2AA- \\ud800 \xff",
        "code": b"+2AA-\\ud800",
        "password": b"+2AA-\\ud800",
    }
    for path in ("/organizations/new", "/prove", f"{owner.root}/settings"):
        answer = await browser.client.post(path, **_multipart(charset, fields))
        assert answer.status_code == 415


@pytest.mark.parametrize(
    "query",
    [{"from": "2026-01-01", "zone": "Asia/Tokyo/x" * 900}, {"client": "fe80::1%eth0"}, {"client": "::1%/64"}],
    ids=["deep zone", "address with a zone", "network with a zone"],
)
async def test_a_filter_of_the_logs_that_is_odd_is_no_fault_of_ours(owner: Person, query):
    for path in ("logs", "logs/export"):
        answer = await owner.browser.get(f"{owner.root}/{path}", params=query)
        call = await owner.browser.api("GET", f"/{path}", params=query)
        assert {answer.status_code, call.status_code} <= {200, 422}


@pytest.mark.parametrize("name", [r"\u0000", r"\\u0000 \u0000!", r"\u0000\u0000"])
async def test_a_name_of_backslashes_is_in_the_audit_as_it_was_written(portal: Portal, owner: Person, name: str):
    """What takes characters that PostgreSQL cannot hold out of the audit's JSON must not take half an escape."""
    assert (await owner.browser.api("PATCH", "/organization", {"name": name})).status_code == 200
    after = await portal.pool.fetchval(
        "select after ->> 'name' from audit_entry where organization_id = $1 and verb = 'organization.change'",
        owner.organization.id,
    )
    assert after == name


async def test_a_key_with_a_name_of_backslashes_is_made_told_of_and_revoked(owner: Person):
    made = await owner.browser.api("POST", "/keys", {"name": r"\u0000"})
    assert made.status_code == 201
    path = f"{owner.root}/keys/{made.json()['id']}/revoke"
    assert (await owner.browser.post(path, {"reason": r"a\u0000\\u0000"})).status_code == 303


def test_only_the_character_nul_is_left_out_of_stored_json():
    values = ["\x00\x00x", "\\\x00", r"\u0000", "\\\\u0000", '"\x00"']
    assert json.loads(stored_json(values)) == ["x", "\\", r"\u0000", "\\\\u0000", '""']


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_form_that_is_larger_than_any_of_ours_is_not_looked_at(portal: Portal):
    """A megabyte of separators took half a second of everybody's time, without being signed in."""
    answer = await portal.browser().client.post("/sign-in", content=b"&" * 300_000, headers=FORM)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "kind"), [("/sign-in", FORM), ("/api/auth/sign-in", {"content-type": "application/json"})]
)
async def test_who_sends_a_body_byte_by_byte_is_told_to_stop(portal: Portal, monkeypatch, path: str, kind: dict):
    monkeypatch.setattr(bodies, "SECONDS", 0.05)

    async def dawdling():
        yield b"e"
        await asyncio.sleep(20)

    async with asyncio.timeout(5):
        answer = await portal.browser().client.post(path, content=dawdling(), headers=kind)
    assert answer.status_code == 408

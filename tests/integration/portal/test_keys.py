"""API keys in the portal's pages: shown once, changed, rotated, revoked, by whom it may be and nobody else."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import keys
from tests.query_counts import counted

KEY = re.compile(r"pe_(?:live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}")


async def make_key(portal, person, name="Worker", **options):
    """A key of the person's organization, made without the pages."""
    return await keys.create(
        portal.pool, portal.settings.keys, organization_id=person.organization.id, name=name, **options
    )


async def verbs(portal, person) -> list[str]:
    """What the audit says of the organization's keys, oldest first."""
    rows = await portal.pool.fetch(
        "select verb from audit_entry where organization_id = $1 and object_type = 'api_key' order by created_at, id",
        person.organization.id,
    )
    return [row["verb"] for row in rows]


async def test_a_new_key_is_shown_once_and_never_again(portal, owner):
    form = {"name": "Billing <worker>", "environment": "live", "once": str(uuid4())}
    made = await owner.browser.post(f"{owner.root}/keys/new", form)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert len(shown := set(KEY.findall(made.text))) == 1
    assert "X-API-Key: " in made.text
    assert "&lt;worker&gt;" in made.text
    row = await portal.pool.fetchrow("select * from api_key where organization_id = $1", owner.organization.id)
    assert row["created_by"] == owner.user_id
    for path in (f"{owner.root}/keys", f"{owner.root}/keys/{row['id']}", f"{owner.root}/keys/{row['id']}/edit"):
        page = await owner.browser.get(path)
        assert page.status_code == 200
        assert not shown & set(KEY.findall(page.text))
        assert row["last4"] in page.text or path.endswith("edit")
    assert await verbs(portal, owner) == ["key.create"]
    stored = await portal.pool.fetchval("select string_agg(body::text, '') from api_reply") or ""
    assert not any(key in stored for key in shown)


async def test_a_form_that_is_sent_again_makes_no_second_key(portal, owner):
    form = {"name": "Once", "environment": "live", "once": str(uuid4())}
    assert (await owner.browser.post(f"{owner.root}/keys/new", form)).status_code == 201
    again = await owner.browser.post(f"{owner.root}/keys/new", form)
    assert again.status_code == 303
    assert again.headers["location"].endswith("?done=key_made_before")
    assert not KEY.search((await owner.browser.get(again.headers["location"])).text)
    other = await owner.browser.post(f"{owner.root}/keys/new", {**form, "name": "Another"})
    assert other.status_code == 201
    assert await verbs(portal, owner) == ["key.create"] * 2


@pytest.mark.parametrize(
    ("fields", "told", "status"),
    [
        ({"name": " "}, "1 to 120 characters", 422),
        ({"networks": "203.0.113.1/24"}, "did you mean 203.0.113.0/24", 422),
        ({"networks": "\x00"}, "is no network", 422),
        ({"reach": "some"}, "Choose at least one", 422),
        ({"reach": "some", "scopes": "no-such-service"}, "There is no service or operation", 409),
        ({"expiry": "date", "expires_on": "soon"}, "2027-01-31", 422),
        ({"expiry": "date", "expires_on": "2020-01-01"}, "lie in the future", 409),
        ({"expiry": "date", "expires_on": "9999-12-31"}, "Give the date", 422),
        ({"cap_day": "-1"}, "is no amount of credits", 422),
        ({"environment": "<b>"}, "for `live` or `test`", 422),
    ],
)
async def test_a_bad_wish_is_told_and_makes_no_key(portal, owner, fields, told, status):
    answer = await owner.browser.post(f"{owner.root}/keys/new", {"name": "Mine", "environment": "live", **fields})
    assert (answer.status_code, told in answer.text) == (status, True)
    assert await verbs(portal, owner) == []
    assert not await portal.pool.fetchval(
        "select count(*) from api_key where organization_id = $1", owner.organization.id
    )


async def test_a_key_has_the_restrictions_that_were_chosen_and_the_form_shows_them(portal, owner):
    form = {
        "name": "Narrow", "environment": "test", "networks": "203.0.113.0/24\n\n2001:db8::/32 \n", "expiry": "30",
        "cap_day": "2.5", "cap_month": "40",
    }  # fmt: skip
    assert (await owner.browser.post(f"{owner.root}/keys/new", form)).status_code == 201
    row = await portal.pool.fetchrow("select * from api_key where organization_id = $1", owner.organization.id)
    assert row["allowed_ips"] == ["2001:db8::/32", "203.0.113.0/24"]
    assert (row["spend_cap_day_micro"], row["spend_cap_month_micro"]) == (2_500_000, 40_000_000)
    assert timedelta(days=29) < row["expires_at"] - datetime.now(UTC) <= timedelta(days=30)
    page = (await owner.browser.get(f"{owner.root}/keys/{row['id']}/edit")).text
    assert "203.0.113.0/24" in page
    assert 'value="2.5"' in page
    assert 'value="same" selected' in page


async def test_a_key_is_changed_and_the_trail_has_only_what_differs(portal, owner):
    made = await make_key(portal, owner, expires_at=datetime.now(UTC) + timedelta(days=9))
    path = f"{owner.root}/keys/{made.record.id}/edit"
    fields = {"name": "Renamed", "reach": "all", "networks": "10.0.0.0/8", "expiry": "never", "cap_day": "1"}
    answer = await owner.browser.post(path, fields)
    assert (answer.status_code, answer.headers["location"]) == (303, path.removesuffix("/edit") + "?done=saved")
    row = await portal.pool.fetchrow("select * from api_key where id = $1", made.record.id)
    assert (row["name"], row["expires_at"], row["allowed_ips"]) == ("Renamed", None, ["10.0.0.0/8"])
    before = await portal.pool.fetchval("select before from audit_entry where object_id = $1", str(made.record.id))
    assert set(json.loads(before)) == {"name", "allowed_ips", "expires_at", "spend_cap_day"}
    assert (await owner.browser.post(path, fields)).status_code == 303
    assert await verbs(portal, owner) == ["key.change"]


async def test_rotation_shows_the_successor_once_and_says_until_when_the_old_one_works(portal, owner):
    made = await make_key(portal, owner)
    path = f"{owner.root}/keys/{made.record.id}"
    form = {"overlap": "86400", "once": str(uuid4())}
    page = await owner.browser.post(f"{path}/rotate", form)
    assert page.status_code == 201
    assert len(set(KEY.findall(page.text)) - {made.plaintext}) == 1
    assert "works until" in page.text
    again = await owner.browser.post(f"{path}/rotate", form)
    assert again.status_code == 303
    old = await owner.browser.get(path)
    assert "This key was rotated" in old.text
    assert "/rotate" not in old.text
    assert ">replaced</span>" in (await owner.browser.get(f"{owner.root}/keys")).text
    assert (await owner.browser.post(f"{path}/rotate", {"overlap": "86400"})).status_code == 409
    assert (await owner.browser.post(f"{path}/rotate", {"overlap": "-5"})).status_code == 422
    assert await verbs(portal, owner) == ["key.rotate"]


async def test_rotation_without_overlap_stops_the_old_key_at_once(portal, owner):
    made = await make_key(portal, owner)
    page = await owner.browser.post(f"{owner.root}/keys/{made.record.id}/rotate", {"overlap": "0"})
    assert "stopped working just now" in page.text
    assert (await keys.fetch_key(portal.pool, made.record.id, organization_id=None)).state == "expired"


async def test_a_revoked_key_says_why_and_takes_only_another_name(portal, owner):
    made = await make_key(portal, owner)
    path = f"{owner.root}/keys/{made.record.id}"
    answer = await owner.browser.post(f"{path}/revoke", {"reason": "leaked\x00 <in> a log"})
    assert answer.status_code == 303
    page = (await owner.browser.get(answer.headers["location"])).text
    assert "leaked  &lt;in&gt; a log" in page
    assert "/revoke" not in page
    assert (await owner.browser.post(f"{path}/revoke", {"reason": "again"})).status_code == 303
    assert (await owner.browser.post(f"{path}/edit", {"name": "Was leaked", "cap_day": "1"})).status_code == 303
    row = await portal.pool.fetchrow(
        "select name, spend_cap_day_micro, revoked_reason from api_key where id = $1", made.record.id
    )
    assert tuple(row) == ("Was leaked", None, "leaked  <in> a log")
    assert await verbs(portal, owner) == ["key.revoke", "key.change"]


async def test_another_organizations_key_does_not_exist(portal, owner):
    other = await portal.person()
    foreign = (await make_key(portal, other)).record.id
    for key_id in (foreign, uuid4()):
        path = f"{owner.root}/keys/{key_id}"
        answers = [
            await owner.browser.get(path),
            await owner.browser.get(f"{path}/edit"),
            await owner.browser.post(f"{path}/edit", {"name": "Mine"}),
            await owner.browser.post(f"{path}/rotate", {"overlap": "0"}),
            await owner.browser.post(f"{path}/revoke"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 5
        assert all("There is no such API key." in answer.text for answer in answers)
    assert (await keys.fetch_key(portal.pool, foreign, organization_id=None)).state == "active"
    assert str(foreign) not in (await owner.browser.get(f"{owner.root}/keys")).text


@pytest.mark.parametrize("role", ["viewer", "billing"])
async def test_who_may_not_build_sees_keys_and_changes_none(portal, owner, role):
    made = await make_key(portal, owner)
    person = await portal.person(role, owner.organization)
    path = f"{owner.root}/keys/{made.record.id}"
    page = await person.browser.get(path)
    assert page.status_code == 200
    assert "/revoke" not in page.text
    assert "/keys/new" not in (await person.browser.get(f"{owner.root}/keys")).text
    assert (await person.browser.get(f"{owner.root}/keys/new")).status_code == 403
    assert (await person.browser.post(f"{owner.root}/keys/new", {"name": "Mine"})).status_code == 403
    for act in ("edit", "rotate", "revoke"):
        assert (await person.browser.post(f"{path}/{act}", {"name": "x", "overlap": "0"})).status_code == 403


async def test_a_suspended_organization_lists_and_revokes_and_makes_none(portal, owner):
    made = await make_key(portal, owner)
    await portal.pool.execute("update organization set state = 'suspended' where id = $1", owner.organization.id)
    page = await owner.browser.get(f"{owner.root}/keys")
    assert page.status_code == 200
    assert "/keys/new" not in page.text
    refused = await owner.browser.post(f"{owner.root}/keys/new", {"name": "More", "environment": "live"})
    assert (refused.status_code, "is suspended, so no keys are made" in refused.text) == (409, True)
    assert (await owner.browser.post(f"{owner.root}/keys/{made.record.id}/rotate", {"overlap": "0"})).status_code == 409
    assert (await owner.browser.post(f"{owner.root}/keys/{made.record.id}/revoke")).status_code == 303


async def test_keys_are_found_by_state_name_and_prefix(portal, owner):
    first = await make_key(portal, owner, "Alpha 100%")
    second = await make_key(portal, owner, "Beta <i>")
    await keys.revoke(portal.pool, second.record.id, organization_id=None)

    async def found(**query):
        page = await owner.browser.get(f"{owner.root}/keys", params=query)
        assert page.status_code == 200
        return [made.record.name[:4].strip() for made in (first, second) if str(made.record.id) in page.text]

    assert await found() == ["Alph", "Beta"]
    assert await found(state="active") == ["Alph"]
    assert await found(state="revoked") == ["Beta"]
    assert await found(state="expired") == []
    assert await found(state="'; drop") == ["Alph", "Beta"]
    assert await found(q="100%") == ["Alph"]
    assert await found(q="%") == ["Alph"]
    assert await found(q="bETA") == ["Beta"]
    assert await found(q=first.record.prefix) == ["Alph"]
    assert await found(q="\x00") == ["Alph", "Beta"]


@pytest.fixture(scope="module")
async def crowded(portal):
    """An organization with 5,000 keys."""
    person = await portal.person()
    await portal.pool.execute(
        "insert into api_key (organization_id, name, scheme, prefix, last4, digest, created_at, created_by, expires_at)"
        " select $1, 'Key ' || n, 'sha256', '', '', sha256(($2::int::text || '-' || n)::bytea), now() - n * interval '1 minute', $2,"
        " case when n % 3 = 0 then now() - interval '1 day' end from generate_series(1, 5000) n",
        person.organization.id,
        person.user_id,
    )
    await portal.pool.execute("analyze api_key")
    return person


async def test_five_thousand_keys_come_fifty_a_page_within_the_time_of_a_page(portal, crowded):
    path, names, times = f"{crowded.root}/keys", [], []
    for _ in range(3):
        began = datetime.now(UTC)
        async with counted(portal.pool) as statements:
            page = await crowded.browser.get(path)
        times.append((datetime.now(UTC) - began).total_seconds())
        assert len(statements) <= 6
        found = re.findall(r">(Key \d+)</a>", page.text)
        assert len(found) == 50
        names += found
        path = re.search(r'rel="next" href="([^"]+)"', page.text)[1].replace("&amp;", "&")
    assert names == [f"Key {number}" for number in range(1, 151)]
    assert min(times) < 0.3
    assert "5,000" in page.text
    assert (await crowded.browser.get(f"{crowded.root}/keys?after=nonsense")).status_code == 404


async def test_the_pages_of_keys_ask_the_database_at_most_six_times(portal, owner):
    made = await make_key(portal, owner)
    await owner.browser.get(f"{owner.root}/keys")
    for path in ("", "/new", f"/{made.record.id}", f"/{made.record.id}/edit"):
        async with counted(portal.pool) as statements:
            assert (await owner.browser.get(f"{owner.root}/keys{path}")).status_code == 200
        assert 3 <= len(statements) <= 6, statements

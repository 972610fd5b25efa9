"""API keys by the JSON API: the same acts as by the pages, for programs."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import keys


async def create(person, headers=None, **body):
    """A key by the API."""
    return await person.browser.api("POST", "/keys", json={"name": "Worker", **body}, headers=headers)


async def test_a_key_is_made_and_its_text_stands_in_that_answer_alone(portal, owner):
    made = await create(owner, environment="test", allowed_ips=["203.0.113.7"], spend_cap_day="1.5")
    assert made.status_code == 201
    body = made.json()
    assert body["key"].startswith(body["prefix"])
    assert body["key"].endswith(body["last4"])
    assert (body["environment"], body["state"], body["created_by"]) == ("test", "active", owner.email)
    assert (body["allowed_ips"], body["spend_cap_day"], body["spend_cap_month"]) == (["203.0.113.7/32"], "1.5", None)
    one = await owner.browser.api("GET", f"/keys/{body['id']}")
    assert one.json() == {name: value for name, value in body.items() if name != "key"}
    listed = (await owner.browser.api("GET", "/keys")).json()
    assert listed == {"data": [one.json()], "next_cursor": None}


async def test_the_same_idempotency_key_makes_one_key_and_does_not_show_it_again(portal, owner):
    headers = {"idempotency-key": "deploy-7"}
    first, again = [await create(owner, headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {**first.json(), "key": None}
    other = await create(owner, headers, name="Other")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    blank = await create(owner, {"idempotency-key": "two words"})
    assert (blank.status_code, blank.json()["code"]) == (422, "invalid_value")
    count = "select count(*) from api_key where organization_id = $1"
    assert await portal.pool.fetchval(count, owner.organization.id) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "a\u200b"}, 422),
        ({"environment": "prod"}, 422),
        ({"scopes": ["Not A Scope"]}, 422),
        ({"scopes": ["no-such-service"]}, 409),
        ({"allowed_ips": ["10.0.0.1/8"]}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 409),
        ({"expires_at": "2999-01-01T00:00:00Z"}, 409),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, 409),
        ({"expires_at": "2030-01-01"}, 422),
        ({"expires_at": 1_900_000_000}, 422),
        ({"spend_cap_day": "-1"}, 422),
        ({"spend_cap_day": "1000000001"}, 422),
        ({"owner": "me"}, 422),
    ],
)
async def test_what_no_key_can_be_is_refused_with_a_code(owner, body, status):
    answer = await create(owner, **body)
    assert answer.status_code == status
    assert answer.json()["code"] in {"invalid_value", "conflict"}


async def test_a_change_touches_what_it_names_and_null_takes_away(owner):
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    made = (await create(owner, expires_at=soon, spend_cap_day="1", spend_cap_month="9")).json()
    path = f"/keys/{made['id']}"
    changed = await owner.browser.api("PATCH", path, json={"name": "Renamed", "spend_cap_day": None})
    assert changed.status_code == 200
    assert changed.json() == {**{k: v for k, v in made.items() if k != "key"}, "name": "Renamed", "spend_cap_day": None}
    assert (await owner.browser.api("PATCH", path, json={"expires_at": None})).json()["expires_at"] is None
    assert (await owner.browser.api("PATCH", path, json={})).json()["name"] == "Renamed"


async def test_rotation_links_the_two_keys(owner):
    made = (await create(owner)).json()
    rotated = await owner.browser.api("POST", f"/keys/{made['id']}/rotate", json={"overlap_seconds": 3600})
    assert rotated.status_code == 201
    new = rotated.json()
    assert new["replaces"] == made["id"]
    assert new["key"] not in {made["key"], None}
    old = (await owner.browser.api("GET", f"/keys/{made['id']}")).json()
    assert (old["replaced_by"], old["state"]) == (new["id"], "active")
    again = await owner.browser.api("POST", f"/keys/{made['id']}/rotate", json={})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_a_revoked_key_stays_revoked_with_its_first_reason(owner):
    made = (await create(owner)).json()
    path = f"/keys/{made['id']}"
    for reason in ("leaked", "other"):
        revoked = (await owner.browser.api("DELETE", path, params={"reason": reason})).json()
        assert (revoked["state"], revoked["revoked_reason"]) == ("revoked", "leaked")
    refused = await owner.browser.api("PATCH", path, json={"spend_cap_day": "3"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_lists_go_on_where_the_page_before_ended_also_while_keys_are_made(portal, owner):
    for number in range(5):
        await keys.create(
            portal.pool, portal.settings.keys, organization_id=owner.organization.id, name=f"Key {number}"
        )
    first = (await owner.browser.api("GET", "/keys", params={"limit": 2})).json()
    await create(owner, name="Made meanwhile")
    second = (await owner.browser.api("GET", "/keys", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [key["name"] for key in first["data"] + second["data"]] == [f"Key {number}" for number in (4, 3, 2, 1, 0)]
    assert second["next_cursor"] is None
    found = (await owner.browser.api("GET", "/keys", params={"search": "meanwhile", "state": "active"})).json()
    assert [key["name"] for key in found["data"]] == ["Made meanwhile"]


async def test_a_suspended_organization_is_told_why_it_gets_no_key(portal, owner):
    await portal.pool.execute("update organization set state = 'suspended' where id = $1", owner.organization.id)
    answer = await create(owner)
    assert (answer.status_code, "suspended" in answer.json()["detail"]) == (409, True)

"""Webhooks over the API."""

import pytest

URL = "https://example.com/hook"


async def make(person, **fields) -> dict:
    answer = await person.browser.api("POST", "/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_endpoint_from_its_creation_to_its_end(portal, owner):
    made = await make(owner, description=" Billing \n service ", events=["key.revoked"])
    assert made["secret"].startswith("whsec_")
    assert (made["description"], made["events"], made["enabled"]) == ("Billing service", ["key.revoked"], True)
    path = f"/webhooks/{made['id']}"
    shown = (await owner.browser.api("GET", path)).json()
    assert "secret" not in shown
    [listed] = (await owner.browser.api("GET", "/webhooks")).json()["data"]
    assert listed == shown
    changed = await owner.browser.api("PATCH", path, json={"enabled": False, "events": []})
    assert (changed.json()["enabled"], changed.json()["events"], changed.json()["url"]) == (False, [], URL)
    rotated = await owner.browser.api("POST", f"{path}/secret", json={"overlap_hours": 1})
    assert rotated.json()["secret"] != made["secret"]
    assert rotated.json()["both_sign_until"] is not None
    assert (await owner.browser.api("DELETE", path)).status_code == 204
    for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries")):
        assert (await owner.browser.api(method, where)).status_code == 404


async def test_g7_a_repeated_create_makes_one_endpoint_and_does_not_show_the_secret_again(owner):
    key = {"idempotency-key": "once"}
    first = await owner.browser.api("POST", "/webhooks", json={"url": URL}, headers=key)
    again = await owner.browser.api("POST", "/webhooks", json={"url": URL}, headers=key)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    assert len((await owner.browser.api("GET", "/webhooks")).json()["data"]) == 1


async def test_a_test_event_a_delivery_and_its_replay(portal, owner):
    made = await make(owner)
    sent = await owner.browser.api("POST", f"/webhooks/{made['id']}/test")
    assert sent.status_code == 201
    delivery = sent.json()
    assert delivery["event_type"] == "webhook.test"
    assert '"type": "webhook.test"' in delivery["payload"]
    assert delivery["headers"]["webhook-id"] == delivery["event_id"]
    assert (await owner.browser.api("POST", f"/webhooks/{made['id']}/test")).status_code == 409
    await portal.pool.execute(
        "update webhook_delivery set state = 'failed', ended_at = now() where id = $1", delivery["id"]
    )
    replayed = await owner.browser.api("POST", f"/webhooks/deliveries/{delivery['id']}/replay")
    assert (replayed.status_code, replayed.json()["event_id"]) == (201, delivery["event_id"])
    listed = (await owner.browser.api("GET", f"/webhooks/{made['id']}/deliveries?state=waiting")).json()["data"]
    assert [each["id"] for each in listed] == [replayed.json()["id"]]
    page = (await owner.browser.api("GET", f"/webhooks/{made['id']}/deliveries?limit=1")).json()
    rest = (
        await owner.browser.api("GET", f"/webhooks/{made['id']}/deliveries?limit=1&cursor={page['next_cursor']}")
    ).json()
    assert [page["data"][0]["id"], rest["data"][0]["id"]] == [replayed.json()["id"], delivery["id"]]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "nonsense"},
        {"url": "https://user@example.com/"},
        {"url": "https://example.com/#x"},
        {"url": "http://127.1/"},
        {"url": URL, "events": ["key.stolen"]},
        {"url": URL, "description": "\x00"},
        {"url": URL, "secret": "whsec_mine"},
        {"url": URL, "organization_id": "0"},
    ],
)
async def test_k7_what_does_not_belong_in_a_new_endpoint_is_refused(owner, body):
    assert (await owner.browser.api("POST", "/webhooks", json=body)).status_code == 422


@pytest.mark.parametrize("body", [{"enabled": 0}, {"enabled": "yes"}, {"url": ""}, {"events": "key.created"}])
async def test_types_are_not_guessed(owner, body):
    made = await make(owner)
    assert (await owner.browser.api("PATCH", f"/webhooks/{made['id']}", json=body)).status_code == 422


async def test_k6_another_organizations_objects_are_404(portal, owner):
    made = await make(owner)
    delivery = (await owner.browser.api("POST", f"/webhooks/{made['id']}/test")).json()
    stranger = await portal.person()
    for method, path, body in (
        ("GET", f"/webhooks/{made['id']}", None),
        ("PATCH", f"/webhooks/{made['id']}", {"enabled": False}),
        ("DELETE", f"/webhooks/{made['id']}", None),
        ("POST", f"/webhooks/{made['id']}/secret", {}),
        ("POST", f"/webhooks/{made['id']}/test", None),
        ("GET", f"/webhooks/{made['id']}/deliveries", None),
        ("GET", f"/webhooks/deliveries/{delivery['id']}", None),
        ("POST", f"/webhooks/deliveries/{delivery['id']}/replay", None),
    ):
        answer = await stranger.browser.api(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert (await stranger.browser.api("GET", "/webhooks")).json()["data"] == []


@pytest.mark.parametrize(("role", "may"), [("admin", True), ("developer", True), ("billing", False), ("viewer", False)])
async def test_who_may_build_may_change_and_everybody_may_look(portal, owner, role, may):
    made = await make(owner)
    person = await portal.person(role, owner.organization)
    assert (await person.browser.api("GET", f"/webhooks/{made['id']}")).status_code == 200
    assert (await person.browser.api("GET", "/webhooks/events")).status_code == 200
    answer = await person.browser.api("PATCH", f"/webhooks/{made['id']}", json={"description": role})
    assert answer.status_code == (200 if may else 403)


async def test_every_event_has_an_example(owner):
    for event in (await owner.browser.api("GET", "/webhooks/events")).json()["data"]:
        assert event["example"]["type"] == event["name"]
        assert event["example"].keys() == {"type", "timestamp", "data"}
        assert event["description"].endswith(".")

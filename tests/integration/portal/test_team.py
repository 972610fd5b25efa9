"""The team's pages and calls: who may do what to whom, and that an owner always stays."""

import asyncio

import pytest

from domain.access import access_organization
from domain.audit import Actor
from domain.faults import Conflict, Fault
from domain.team import change_role, remove_member, transfer_ownership

MIGHTIEST_FIRST = ("owner", "admin", "developer", "billing", "viewer")


async def roles(portal, organization) -> dict[int, str]:
    rows = await portal.pool.fetch(
        "select user_id, role from membership where organization_id = $1", organization.id
    )  # fmt: skip
    return dict(rows)


async def verbs(portal, organization) -> list[str]:
    rows = await portal.pool.fetch(
        "select verb from audit_entry where organization_id = $1 order by created_at", organization.id
    )
    return [row["verb"] for row in rows]


@pytest.mark.parametrize("role", MIGHTIEST_FIRST)
async def test_everybody_sees_the_team_and_who_manages_it_sees_when_they_were_there(portal, owner, role):
    member = await portal.person(role, owner.organization)
    page = await member.browser.get(f"{owner.root}/team")
    assert page.status_code == 200
    assert owner.email in page.text
    manages = role in {"owner", "admin"}
    assert ("Last seen" in page.text) == manages
    call = (await member.browser.get("/api/team")).json()
    assert {one["user_id"] for one in call["data"]} == {owner.user_id, member.user_id}
    assert all((one["last_seen_at"] is not None) == manages for one in call["data"])


async def test_members_come_in_pages(portal, owner):
    others = {(await portal.person("viewer", owner.organization)).user_id for _ in range(4)}
    seen, cursor = [], ""
    while cursor is not None:
        answer = (await owner.browser.get(f"/api/team?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [one["user_id"] for one in answer["data"]]
        cursor = answer["next_cursor"]
    assert sorted(seen) == sorted({owner.user_id, *others})


@pytest.mark.parametrize("role", ["developer", "billing", "viewer"])
async def test_who_does_not_manage_changes_nothing(portal, owner, role):
    member = await portal.person(role, owner.organization)
    for method, path, body in (
        ("PATCH", f"/team/{owner.user_id}", {"role": "viewer"}),
        ("DELETE", f"/team/{owner.user_id}", None),
        ("POST", "/team/transfer", {"user_id": member.user_id}),
        ("POST", "/team/invitations", {"email": "a@example.com", "role": "viewer"}),
        ("GET", "/team/invitations", None),
    ):
        assert (await member.browser.api(method, path, json=body)).status_code == 403
    for path in (f"{owner.user_id}/role", f"{owner.user_id}/transfer", "invitations"):
        assert (await member.browser.post(f"{owner.root}/team/{path}", {"role": "viewer"})).status_code == 403
    assert (await member.browser.post(f"{owner.root}/team/{owner.user_id}/remove")).status_code == 403
    assert await roles(portal, owner.organization) == {owner.user_id: "owner", member.user_id: role}


async def test_an_admin_neither_makes_nor_touches_an_owner(portal, owner):
    admin = await portal.person("admin", owner.organization)
    other = await portal.person("viewer", owner.organization)
    for method, user_id, body in (
        ("PATCH", other.user_id, {"role": "owner"}),
        ("PATCH", admin.user_id, {"role": "owner"}),
        ("PATCH", owner.user_id, {"role": "viewer"}),
        ("DELETE", owner.user_id, None),
    ):
        call = await admin.browser.api(method, f"/team/{user_id}", json=body)
        assert (call.status_code, call.json()["code"]) == (403, "forbidden")
    page = await admin.browser.post(f"{owner.root}/team/{owner.user_id}/role", {"role": "viewer"})
    assert page.status_code == 403
    assert "you cannot give the role owner" in page.text
    assert (await admin.browser.api("POST", "/team/transfer", json={"user_id": other.user_id})).status_code == 403


async def test_a_role_is_changed_and_the_trail_says_what_it_was(portal, owner):
    member = await portal.person("viewer", owner.organization)
    page = await owner.browser.get(f"{owner.root}/team/{member.user_id}")
    assert page.status_code == 200
    answer = await owner.browser.post(f"{owner.root}/team/{member.user_id}/role", {"role": "developer"})
    assert answer.headers["location"] == f"{owner.root}/team?done=role_changed"
    assert (await roles(portal, owner.organization))[member.user_id] == "developer"
    entry = await portal.pool.fetchrow(
        "select before, after, object_name from audit_entry where organization_id = $1", owner.organization.id
    )
    assert tuple(entry) == ('{"role": "viewer"}', '{"role": "developer"}', member.email)


async def test_an_unknown_role_is_told(portal, owner):
    member = await portal.person("viewer", owner.organization)
    page = await owner.browser.post(f"{owner.root}/team/{member.user_id}/role", {"role": "god"})
    assert page.status_code == 422
    assert (
        await owner.browser.api("PATCH", f"/team/{member.user_id}", json={"role": "god"})
    ).status_code == 422  # fmt: skip


async def test_members_of_others_do_not_exist(portal, owner):
    stranger = await portal.person()
    for user_id in (stranger.user_id, 2**31 - 1, 2**31, 10**30):
        assert (await owner.browser.get(f"{owner.root}/team/{user_id}")).status_code == 404
        for path in ("role", "remove", "transfer"):
            answer = await owner.browser.post(f"{owner.root}/team/{user_id}/{path}", {"role": "viewer"})
            assert answer.status_code == 404
        assert (await owner.browser.api("DELETE", f"/team/{user_id}")).status_code == 404
        call = await owner.browser.api("PATCH", f"/team/{user_id}", json={"role": "viewer"})
        assert call.status_code == 404
    assert await roles(portal, stranger.organization) == {stranger.user_id: "owner"}


async def test_who_is_removed_is_out_at_once_with_tokens_and_invitations(portal, owner):
    admin = await portal.person("admin", owner.organization)
    call = await admin.browser.api("POST", "/team/invitations", json={"email": "b@example.com", "role": "admin"})
    assert call.status_code == 201
    token = await portal.pool.fetchval(
        "insert into access_token (user_id, organization_id, name, token_digest, last4)"
        " values ($1, $2, 't', sha256(gen_random_uuid()::text::bytea), 'abcd') returning id",
        admin.user_id,
        owner.organization.id,
    )
    answer = await owner.browser.post(f"{owner.root}/team/{admin.user_id}/remove")
    assert answer.headers["location"].endswith("done=member_removed")
    assert (await admin.browser.get(f"{owner.root}/team")).status_code == 404
    assert await portal.pool.fetchval("select revoked_at is not null from access_token where id = $1", token)
    assert (await owner.browser.get("/api/team/invitations")).json()["data"] == []


async def test_everybody_but_the_last_owner_may_leave(portal, owner):
    viewer = await portal.person("viewer", owner.organization)
    answer = await viewer.browser.post(f"{owner.root}/team/leave")
    assert answer.headers["location"] == "/organizations?done=organization_left"
    stays = await owner.browser.post(f"{owner.root}/team/leave")
    assert stays.status_code == 409
    assert "at least one owner" in stays.text
    demoted = await owner.browser.api("PATCH", f"/team/{owner.user_id}", json={"role": "viewer"})
    assert demoted.status_code == 409
    assert await roles(portal, owner.organization) == {owner.user_id: "owner"}
    assert await verbs(portal, owner.organization) == ["member.remove"]


async def test_an_organization_is_handed_over_in_one_step(portal, owner):
    heir = await portal.person("developer", owner.organization)
    page = await owner.browser.post(f"{owner.root}/team/{heir.user_id}/transfer")
    assert page.headers["location"].endswith("done=ownership_transferred")
    assert await roles(portal, owner.organization) == {owner.user_id: "admin", heir.user_id: "owner"}
    again = await owner.browser.post(f"{owner.root}/team/{heir.user_id}/transfer")
    assert again.status_code == 403
    to_oneself = await heir.browser.api("POST", "/team/transfer", json={"user_id": heir.user_id})
    assert to_oneself.status_code == 409
    assert await verbs(portal, owner.organization) == ["organization.transfer"]


async def race(portal, *changes) -> list[Exception | None]:
    """Each change in a transaction of its own, all at once."""

    async def one(change):
        async with portal.pool.acquire() as connection, connection.transaction():
            await change(connection)

    outcomes = await asyncio.gather(*(one(change) for change in changes), return_exceptions=True)
    return [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.parametrize("way", ["leave", "demote each other", "demote oneself", "transfer and leave"])
async def test_a12_owners_who_go_at_once_never_leave_none(portal, owner, way, turn):
    second = await portal.person("owner", owner.organization)
    third = await portal.person("viewer", owner.organization)
    (one, actor_one), (two, actor_two) = [
        (await access_organization(portal.pool, who.user_id, owner.organization.slug), Actor("user", who.user_id))
        for who in (owner, second)
    ]
    changes = {
        "leave": (
            lambda c: remove_member(c, one, actor_one, one.user_id),
            lambda c: remove_member(c, two, actor_two, two.user_id),
        ),
        "demote each other": (
            lambda c: change_role(c, one, actor_one, two.user_id, "viewer"),
            lambda c: change_role(c, two, actor_two, one.user_id, "viewer"),
        ),
        "demote oneself": (
            lambda c: change_role(c, one, actor_one, one.user_id, "viewer"),
            lambda c: change_role(c, two, actor_two, two.user_id, "viewer"),
        ),
        "transfer and leave": (
            lambda c: transfer_ownership(c, one, actor_one, third.user_id),
            lambda c: remove_member(c, two, actor_two, two.user_id),
        ),
    }[way]
    outcomes = await race(portal, *(changes if turn % 2 else changes[::-1]))
    assert all(outcome is None or isinstance(outcome, Fault) for outcome in outcomes)
    owners = [role for role in (await roles(portal, owner.organization)).values() if role == "owner"]
    assert owners
    if way in {"leave", "demote oneself"}:
        assert [isinstance(outcome, Conflict) for outcome in outcomes].count(True) == 1


async def test_names_are_escaped(portal, owner):
    await portal.pool.execute("update users set first_name = '<script>x' where id = $1", owner.user_id)
    page = await owner.browser.get(f"{owner.root}/team")
    assert "<script>x" not in page.text
    assert "&lt;script&gt;x" in page.text


async def test_only_an_owner_closes_and_only_with_the_slug_written(portal, owner):
    admin = await portal.person("admin", owner.organization)
    slug = owner.organization.slug
    assert (await admin.browser.post(f"{owner.root}/settings/close", {"confirmation": slug})).status_code == 403
    assert (
        await admin.browser.api("POST", "/organization/close", json={"confirmation": slug})
    ).status_code == 403  # fmt: skip
    wrong = await owner.browser.post(f"{owner.root}/settings/close", {"confirmation": "something"})
    assert wrong.status_code == 422
    assert f"Write the slug {slug}" in wrong.text
    done = await owner.browser.post(f"{owner.root}/settings/close", {"confirmation": slug})
    assert done.headers["location"] == "/organizations?done=organization_closed"
    assert (await admin.browser.get(f"{owner.root}/team")).status_code == 404
    row = await portal.pool.fetchrow(
        "select o.state, s.state as subscription from organization o join subscription s on s.organization_id = o.id"
        " where o.id = $1",
        owner.organization.id,
    )
    assert tuple(row) == ("closed", "cancelled")
    assert await verbs(portal, owner.organization) == ["organization.close"]


async def test_the_api_closes_too(owner):
    path, body = "/organization/close", {"confirmation": owner.organization.slug}
    assert (await owner.browser.api("POST", path, json={"confirmation": "no"})).status_code == 422
    assert (await owner.browser.api("POST", path, json=body)).status_code == 204
    assert (await owner.browser.get(f"{owner.root}/settings")).status_code == 404


async def test_grave_changes_need_a_fresh_proof(portal, owner):
    heir = await portal.person("admin", owner.organization)
    await portal.pool.execute(
        "update portal_session set proven_at = now() - interval '1 hour' where user_id = $1", owner.user_id
    )
    page = await owner.browser.post(f"{owner.root}/team/{heir.user_id}/transfer")
    assert page.headers["location"] == f"/prove?next={owner.root}/team/{heir.user_id}"
    page = await owner.browser.post(f"{owner.root}/settings/close", {"confirmation": owner.organization.slug})
    assert page.headers["location"] == f"/prove?next={owner.root}/settings"
    for path, body in (
        ("/team/transfer", {"user_id": heir.user_id}),
        ("/organization/close", {"confirmation": owner.organization.slug}),
    ):
        call = await owner.browser.api("POST", path, json=body)
        assert (call.status_code, call.json()["code"]) == (403, "proof_needed")
    assert await roles(portal, owner.organization) == {owner.user_id: "owner", heir.user_id: "admin"}

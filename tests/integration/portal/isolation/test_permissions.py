"""What a role may not do, no route does for it; nor does a token that may only read."""

import httpx2
import pytest

from domain.access import ROLES, Permission
from domain.random_tokens import new_token
from tests.integration.portal.isolation.belongings import belongings, fingerprint
from tests.integration.portal.isolation.routes import cases
from tests.integration.portal.isolation.test_isolation import ask

FORBIDDEN = [
    (case, role)
    for case in cases()
    for role, permissions in ROLES.items()
    if case.permission is not None and Permission(case.permission) not in permissions
]
UNSAFE = [case for case in cases() if case.is_api and case.method != "GET"]


@pytest.fixture(scope="module")
async def house(portal):
    """One organization with a member of each role, and what belongs to it."""
    owner = await portal.person("owner")
    people = {role: await portal.person(role, owner.organization) for role in ROLES if role != "owner"}
    return {**people, "owner": owner}, await belongings(portal, owner)


def test_every_route_of_an_organization_names_its_permission():
    assert [str(case) for case in cases() if case.permission is None] == []


@pytest.mark.parametrize(("case", "role"), FORBIDDEN, ids=str)
async def test_a_role_that_may_not_is_told_so(case, role, house):
    people, objects = house
    person = people[role]
    answer = await ask(person, case, case.url(person.organization.slug, objects), person.organization.slug)
    assert answer.status_code == 403, f"{case} as {role}: {answer.status_code} {answer.text[:200]}"
    assert role in answer.text


@pytest.mark.parametrize("case", UNSAFE, ids=str)
async def test_a_read_only_token_changes_nothing(portal, case, house):
    people, objects = house
    owner, token = people["owner"], new_token("pe_pat_")
    await portal.pool.execute(
        "insert into access_token (user_id, organization_id, name, token_digest, last4) values ($1, $2, 'r', $3, 'xxxx')",
        owner.user_id,
        owner.organization.id,
        token.digest,
    )
    before = await fingerprint(portal, owner.organization.id)
    transport = httpx2.ASGITransport(app=portal.app)
    async with httpx2.AsyncClient(transport=transport, base_url=portal.settings.portal.base_url) as client:
        answer = await client.request(
            case.method,
            case.url(owner.organization.slug, objects),
            json=case.body,
            headers={"authorization": f"Bearer {token.text}"},
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{case}: {answer.text[:200]}"
    after = await fingerprint(portal, owner.organization.id)
    assert {name for name in before if before[name] != after[name]} <= {"access_token"}

"""Nobody sees another tenant's row, byte, name or existence (G6): every route x every foreign object x every role.

Each is asked twice: in one's own organization with another's object, and in the other's organization.
"""

import asyncio

import pytest

from domain.identity.sessions import end_sessions_of
from tests.integration.portal.isolation.belongings import MARK, belongings, fingerprint
from tests.integration.portal.isolation.routes import Case, cases

ROLES = ("owner", "admin", "developer", "billing", "viewer")
PATIENCE = 10
COMMON = {"service", "operation"}
"""What is everybody's."""
TRIED: list[str] = []


@pytest.fixture(scope="module")
async def victim(portal):
    """Somebody else, with one of everything, and what all their rows are."""
    person = await portal.person("owner")
    await portal.pool.execute("update organization set name = $2 where id = $1", person.organization.id, f"{MARK} Ltd")
    await portal.pool.execute("update users set first_name = $2 where id = $1", person.user_id, MARK)
    return person, await belongings(portal, person)


@pytest.fixture(scope="module")
async def strangers(portal):
    """One person of each role, each in an organization of their own, and the ids of what is there."""
    people = {}
    for role in ROLES:
        host = await portal.person("owner")
        person = host if role == "owner" else await portal.person(role, host.organization)
        people[role] = (person, await belongings(portal, person))
    return people


async def ask(person, case: Case, url: str, organization: str):
    """Ask as a browser's page or as a program's call would."""
    browser = person.browser
    headers = {"pe-organization": organization} if case.is_api else {}
    if case.is_api:
        answer = browser.api(case.method, url.removeprefix("/api"), json=case.body, headers=headers)
    elif case.method == "GET":
        answer = browser.get(url)
    else:
        answer = browser.post(url, {"name": "mine", "reason": "mine", "role": "viewer", "email": "x@example.com"})
    return await asyncio.wait_for(answer, PATIENCE)


def assert_nothing_of(answer, case: Case, marks: list[str]) -> None:
    """Not found or not allowed, and not a byte of the other's."""
    assert answer.status_code in {403, 404}, f"{case}: {answer.status_code} {answer.text[:300]}"
    for mark in marks:
        assert mark not in answer.text, f"{case} tells {mark}"
    TRIED.append(str(case))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", cases(), ids=str)
async def test_anothers_organization_cannot_be_entered(case, role, strangers, victim):
    (other, theirs), (person, _) = victim, strangers[role]
    answer = await ask(person, case, case.url(other.organization.slug, theirs), other.organization.slug)
    assert answer.status_code == 404, f"{case}: {answer.status_code}"
    assert_nothing_of(answer, case, [MARK, other.email])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", [case for case in cases() if case.names], ids=str)
async def test_anothers_object_does_not_exist_in_ones_own_organization(case, role, strangers, victim):
    (other, theirs), (person, mine) = victim, strangers[role]
    known = [name for name in case.names if name in theirs and name not in COMMON]
    assert known or not [name for name in case.names if name.endswith("_id")], f"belongings.py lacks {case.names}"
    for name in known:
        url = case.url(person.organization.slug, {**mine, name: theirs[name]})
        answer = await ask(person, case, url, person.organization.slug)
        assert_nothing_of(answer, case, [theirs["mark"], f"{MARK} Ltd", other.email])


async def test_zz_nothing_of_the_victim_was_changed_by_any_of_it(portal, victim, request):
    other, _ = victim
    before = request.config.stash.get(STASH, None)
    assert before == await fingerprint(portal, other.organization.id)


STASH = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="module", autouse=True)
async def remembered(portal, victim, request):
    """What the victim's rows are before anybody tries."""
    request.config.stash[STASH] = await fingerprint(portal, victim[0].organization.id)
    yield
    await end_sessions_of(portal.pool, victim[0].user_id)
    print(f"\nisolation: {len(TRIED)} combinations, 0 leaks")

"""An operator who acts as a customer sees that organization and nothing else, and read-only changes nothing: every route."""

import asyncio
from uuid import UUID

import pytest

from domain.identity.acting import Offer, begin_acting
from portal.api.table import ENDPOINTS
from portal.pages.table import PAGES
from portal.web.admission import Audience
from portal.web.cookies import SESSION, cookie_name
from tests.integration.portal.isolation.belongings import MARK, belongings, fingerprint
from tests.integration.portal.isolation.routes import PARAMETER, cases, example_of
from tests.integration.portal.isolation.test_isolation import COMMON, PATIENCE, ask, assert_nothing_of

ROUTES = (*PAGES, *ENDPOINTS)
UNSAFE = [route for route in ROUTES if route.method != "GET"]
NOT_A_MEMBERS = [route for route in ROUTES if route.audience is not Audience.MEMBER]
MEANT_FOR_IT = {
    "GET /", "GET /pricing", "GET /organizations", "GET /sign-in", "POST /sign-out", "POST /stop-acting",
    "GET /acting/{token}", "POST /acting/{token}", "GET /api/auth/session", "POST /api/auth/sign-out",
}  # fmt: skip

OWN = """
select md5(u::text || coalesce((select string_agg(t::text, '') from access_token t where t.user_id = u.id), ''))
  from users u where u.id = $1
"""
"""All that a person is and has by themselves."""
BEFORE: dict[str, dict[str, str]] = {}


class Acting:
    """An operator with a browser that acts as somebody's organization."""

    def __init__(self, person, browser, objects, user_id: int) -> None:
        self.organization, self.browser, self.objects, self.user_id = person.organization, browser, objects, user_id


async def begin(portal, customer, *, may_change: bool) -> Acting:
    """Begin, for an operator who is also a member of an organization of their own."""
    own = await portal.person("owner")
    await portal.pool.execute(
        "update users set operator_role = 'admin', admin = true, first_name = 'Own' where id = $1", own.user_id
    )
    offer = Offer(
        operator_id=own.user_id,
        operator_email=own.email,
        operator_name="Own",
        organization_id=UUID(str(customer.organization.id)),
        slug=customer.organization.slug,
        organization_name=customer.organization.name,
        may_change=may_change,
        minutes=30,
    )
    async with portal.pool.acquire() as connection:
        token = await begin_acting(
            connection, offer, reason="a test", address="", user_agent="Test Browser 1.0", request_id="r"
        )
    browser = portal.browser()
    name = cookie_name(portal.settings.portal, SESSION)
    browser.client.cookies.set(name, token.text, domain="localhost.local")
    return Acting(customer, browser, await belongings(portal, customer), own.user_id)


@pytest.fixture(scope="module")
async def victim(portal):
    """Somebody else, with one of everything."""
    person = await portal.person("owner")
    await portal.pool.execute("update organization set name = $2 where id = $1", person.organization.id, f"{MARK} Ltd")
    objects = await belongings(portal, person)
    BEFORE["victim"] = await fingerprint(portal, person.organization.id)
    return person, objects


@pytest.fixture(scope="module")
async def looking(portal):
    """An operator who may only look."""
    return await begin(portal, await portal.person("owner"), may_change=False)


@pytest.fixture(scope="module")
async def changing(portal):
    """An operator who may change things."""
    return await begin(portal, await portal.person("owner"), may_change=True)


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_no_other_organization_exists(case, looking, changing, victim):
    other, theirs = victim
    for acting in (looking, changing):
        answer = await ask(acting, case, case.url(other.organization.slug, theirs), other.organization.slug)
        assert_nothing_of(answer, case, [MARK, other.email])
        for name in [name for name in case.names if name in theirs and name not in COMMON]:
            url = case.url(acting.organization.slug, {**acting.objects, name: theirs[name]})
            answer = await ask(acting, case, url, acting.organization.slug)
            assert_nothing_of(answer, case, [theirs["mark"], f"{MARK} Ltd", other.email])


def _id(route) -> str:
    return f"{route.method} {route.url_path}"


def _url(route, acting: Acting) -> str:
    values = {"token": "x" * 43, "organization": acting.organization.slug, **acting.objects}
    return PARAMETER.sub(
        lambda match: str(values.get(match[1], "019ac0de-0000-7000-8000-000000000000")), route.url_path
    )


async def send(acting: Acting, route):
    """One request, as a page's form or as a program's call."""
    url = _url(route, acting)
    if url.startswith("/api"):
        body = example_of(route.body) if route.body is not None else None
        answer = acting.browser.api(route.method, url.removeprefix("/api"), json=body)
    elif route.method == "GET":
        answer = acting.browser.get(url)
    else:
        answer = acting.browser.post(url, {"name": "mine", "role": "viewer", "email": "x@example.com"})
    return await asyncio.wait_for(answer, PATIENCE)


@pytest.mark.parametrize("route", [route for route in UNSAFE if _id(route) not in MEANT_FOR_IT], ids=_id)
async def test_who_may_only_look_changes_nothing(portal, route, looking):
    before = await fingerprint(portal, looking.organization.id)
    answer = await send(looking, route)
    assert answer.status_code == 403, f"{_id(route)}: {answer.status_code} {answer.text[:200]}"
    assert await fingerprint(portal, looking.organization.id) == before


@pytest.mark.parametrize("route", [route for route in NOT_A_MEMBERS if _id(route) not in MEANT_FOR_IT], ids=_id)
async def test_nothing_of_a_persons_own_is_open(portal, route, looking, changing):
    for acting in (looking, changing):
        before = await portal.pool.fetchval(OWN, acting.user_id)
        answer = await send(acting, route)
        assert answer.status_code == 403, f"{_id(route)}: {answer.status_code} {answer.text[:200]}"
        assert await portal.pool.fetchval(OWN, acting.user_id) == before


def test_what_is_open_beside_the_organization_is_this_and_no_more():
    assert {_id(route) for route in NOT_A_MEMBERS if route.acting} == MEANT_FOR_IT


@pytest.mark.parametrize("case", [case for case in cases() if case.permission == "own"], ids=str)
async def test_not_even_who_may_change_hands_over_or_closes(portal, case, changing):
    before = await fingerprint(portal, changing.organization.id)
    url = case.url(changing.organization.slug, changing.objects)
    answer = await ask(changing, case, url, changing.organization.slug)
    assert answer.status_code == 403, f"{case}: {answer.status_code}"
    assert await fingerprint(portal, changing.organization.id) == before


async def test_the_operators_own_organization_is_as_foreign_as_any(portal, looking):
    slug = await portal.pool.fetchval(
        "select o.slug from membership m join organization o on o.id = m.organization_id where m.user_id = $1",
        looking.user_id,
    )
    assert (await looking.browser.get(f"/o/{slug}")).status_code == 404
    assert (await looking.browser.api("GET", "/keys", headers={"pe-organization": slug})).status_code == 404


async def test_every_change_is_noted_as_the_operators(portal, changing):
    answer = await changing.browser.api("POST", "/keys", json={"name": "made by an operator"})
    assert answer.status_code == 201, answer.text
    row = await portal.pool.fetchrow(
        "select actor_kind, actor_id from audit_entry where organization_id = $1 and verb = 'key.create'"
        " and object_name = 'made by an operator'",
        changing.organization.id,
    )
    assert (row["actor_kind"], row["actor_id"]) == ("operator", changing.user_id)


async def test_zz_nothing_of_the_victim_was_changed_by_any_of_it(portal, victim):
    assert await fingerprint(portal, victim[0].organization.id) == BEFORE["victim"]

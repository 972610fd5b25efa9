"""P12, P21, P22: what the gateway itself writes into an answer or a request, and that no answer is shared."""

import json
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import ALL
from gateway import problems
from gateway.ratelimit_headers import quoted
from tests.gateways import RunningGateway, Tenant, connected, make_tenant
from tests.integration.gateway.conftest import World
from tests.wire.grammar import FIELD_LINE
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

HOSTILE = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\rb",
    "a\x1b[2J",
    'a", "b";q=9;w=1',
    "ä\u2028",
    "\x7f",
    "a" * 3000,
    " ",
    "",
]
OWN_TEXTS = {
    "limit name": "update plan_limit set name = $2 where plan_id = (select id from plan where slug = 'plan-' || $1)",
    "plan slug": "update plan set slug = $2 where slug = 'plan-' || $1",
    "plan name": "update plan set name = $2 where slug = 'plan-' || $1",
    "organization slug": "update organization set slug = $2 where slug = $1",
    "organization name": "update organization set name = $2 where slug = $1",
    "key name": "update api_key set name = $2 where organization_id = (select id from organization where slug = $1)",
}
ADDED = {
    "ratelimit-policy",
    "ratelimit",
    "x-request-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
}


@pytest.mark.parametrize("what", OWN_TEXTS)
async def test_p12_own_data_never_breaks_a_header(gateway: RunningGateway, world: World, what: str) -> None:
    """Written by SQL, behind the back of every check of ours but the database's: refused there, or harmless on the wire."""
    async with connected(world.database_url) as connection:
        for index, value in enumerate(HOSTILE):
            tenant = await make_tenant(connection, f"hostile-{what.replace(' ', '-')}-{index}")
            try:
                await connection.execute(OWN_TEXTS[what], tenant.slug, value)
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
                continue
            await _harmless(gateway, world, tenant)


async def _harmless(gateway: RunningGateway, world: World, tenant: Tenant) -> None:
    """The answer is read strictly, and the upstream reads the request strictly."""
    mark = world.upstream.mark()
    async with await RawClient.connect(gateway.address) as client:
        await client.send(gateway.request("/proxy/p12", tenant.key))
        seen = await client.answers(1)
    assert seen.problem == ""
    assert seen.final[0].status == 200, seen.final[0].body
    assert seen.final[0].values("x-evil") == []
    (record,) = world.upstream.since(mark)
    assert (record.state, record.problem) == ("whole", "")
    assert record.request is not None
    assert record.request.values("x-evil") == []


@given(st.text(max_size=200))
def test_p12_a_quoted_name_is_one_string(name: str) -> None:
    text = quoted(name)
    assert text.isascii()
    assert text.isprintable()
    inner = text[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert "\\" not in inner


@given(st.text(max_size=200), st.sampled_from(ALL), st.integers(-5, 10**9))
def test_p12_no_text_of_a_problem_reaches_its_header(text: str, kind: Any, wait: int) -> None:
    _, fields, body = problems.render(kind(text, internal=text, hint=text, retry_after_seconds=wait), "0" * 36)
    assert all(FIELD_LINE.fullmatch(name + b": " + value) for name, value in fields)
    assert json.loads(body)["detail"] == (text or kind.default_detail)
    assert body.isascii()


async def test_p21_an_answer_has_the_upstreams_fields_and_only_ours_beside(
    gateway: RunningGateway, world: World
) -> None:
    """DESIGN.md section 4 goes before the research note's `no-store`: the upstream decides about caching, we add none."""
    theirs = [
        ("Server", "theirs/1"),
        ("Date", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("Cache-Control", "public, max-age=3600"),
        ("ETag", '"x"'),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Location", "http://127.0.0.1/elsewhere"),
        ("Content-Type", "text/plain"),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in theirs)
    world.upstream.script("/p21-fields", Script(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok".encode()))
    answer = await gateway.ask(gateway.request("/proxy/p21-fields", world.tenant.key))
    kept = [(name.lower(), value) for name, value in answer.fields if name.lower() not in ADDED]
    assert [field for field in kept if field[0] not in {"content-length", "connection"}] == [
        (name.lower(), value) for name, value in theirs
    ]


async def test_p21_no_answer_is_shared(gateway: RunningGateway, world: World) -> None:
    """Publicly cacheable as it may be: each request of each tenant goes to the upstream and gets that answer."""
    mark = world.upstream.mark()
    world.upstream.script(
        "/p21-shared",
        Script(
            lambda record: (
                b"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=3600\r\nContent-Length: 6\r\n\r\n%06d"
                % record.number
            )
        ),
    )
    keys = [world.tenant.key, world.other.key, world.tenant.key]
    bodies = [(await gateway.ask(gateway.request("/proxy/p21-shared", key))).body for key in keys]
    records = world.upstream.since(mark, "/p21-shared")
    assert bodies == [b"%06d" % record.number for record in records]
    organizations = [record.request.values("x-pe-organization")[0] for record in records if record.request]
    assert organizations[0] == organizations[2] != organizations[1]


async def test_p21_a_refusal_is_never_stored(gateway: RunningGateway) -> None:
    for raw in (gateway.request("/proxy/p21", ""), gateway.request("/no-such", "")):
        assert (await gateway.ask(raw)).first("cache-control") == "no-store"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
@pytest.mark.parametrize("prefix", ["/proxy", "/cors"])
@pytest.mark.parametrize("preflight", [False, True], ids=["request", "preflight"])
async def test_p22_a_foreign_origin_is_not_let_in(
    gateway: RunningGateway, world: World, origin: str, prefix: str, preflight: bool
) -> None:
    lines = [f"Origin: {origin}", "Cookie: a=b"]
    lines += ["Access-Control-Request-Method: POST"] if preflight else []
    raw = gateway.request(f"{prefix}/p22", world.tenant.key, *lines, method="OPTIONS" if preflight else "GET")
    answer = await gateway.ask(raw)
    assert answer.status in {200, 204, 401, 403}
    assert answer.values("access-control-allow-origin") == []
    assert answer.values("access-control-allow-credentials") == []


async def test_p22_a_listed_origin_is_let_in_without_credentials(gateway: RunningGateway, world: World) -> None:
    raw = gateway.request(
        "/cors/p22", "", "Origin: https://app.example", "Access-Control-Request-Method: POST", method="OPTIONS"
    )
    preflight = await gateway.ask(raw)
    answer = await gateway.ask(gateway.request("/cors/p22", world.tenant.key, "Origin: https://app.example"))
    assert (preflight.status, answer.status) == (204, 200)
    for each in (preflight, answer):
        assert each.values("access-control-allow-origin") == ["https://app.example"]
        assert each.values("access-control-allow-credentials") == []
        assert "origin" in each.first("vary").lower()

"""What each policy refuses, as the caller sees it; nothing refused reaches the upstream."""

import json

from tests.integration.gateway.exchange.conftest import House
from tests.wire.answers import WireAnswer
from tests.wire.upstream import Script


def problem(answer: WireAnswer, status: int, code: str) -> dict:
    assert answer.status == status, answer
    document = json.loads(answer.body)
    assert answer.values("content-type") == ["application/problem+json"]
    assert (document["status"], document["code"], document["type"]) == (status, code, f"/errors/{code}")
    assert document["title"]
    assert document["detail"]
    assert answer.values("x-request-id") == [document["request_id"]]
    return document


async def test_404_unknown_route(house: House):
    problem(await house.ask("/nothing-here"), 404, "unknown_route")


async def test_404_disabled_and_coming_soon_and_disabled_operation(house: House):
    for column, value in (("enabled", False), ("coming_soon", True)):
        slug = await house.a_service(**{column: value})
        problem(await house.ask(f"/{slug}/x"), 404, "service_disabled")
    slug = await house.a_service(operations=(("off", "/off", False),))
    problem(await house.ask(f"/{slug}/off"), 404, "service_disabled")
    assert (await house.ask(f"/{slug}/on")).status == 200


async def test_401_all_look_alike_and_say_how_to_authenticate(house: House):
    slug = await house.a_service()
    expired = await house.a_key()
    await house.pool.execute("update api_key set expires_at = now() - interval '1 s' where prefix = $1", expired[:18])
    answers = [
        await house.ask(f"/{slug}/refused", key=key)
        for key in ("", "nonsense", "pe_live_0123456789_" + "a" * 38, expired)
    ]
    documents = [problem(answer, 401, "invalid_api_key") for answer in answers]
    assert len({json.dumps({**document, "request_id": ""}) for document in documents}) == 1
    assert all("invalid_token" in answer.values("www-authenticate")[0] for answer in answers)
    assert not house.seen("/refused")


async def test_403_suspended_organization_and_back(house: House):
    slug, tenant = await house.a_service(), await house.a_tenant()
    assert (await house.ask(f"/{slug}/x", key=tenant.key)).status == 200
    await house.pool.execute("update organization set state = 'suspended' where id = $1", tenant.organization_id)
    await until(house, f"/{slug}/x", tenant.key, 403, "organization_suspended")
    await house.pool.execute("update organization set state = 'active' where id = $1", tenant.organization_id)
    await until(house, f"/{slug}/x", tenant.key, 200)


async def until(house: House, target: str, key: str, status: int, code: str = "") -> None:
    answer = await house.eventually(target, lambda answer: answer.status == status, key=key)
    if code:
        problem(answer, status, code)


async def test_403_no_subscription(house: House):
    slug, tenant = await house.a_service(), await house.a_tenant()
    await house.pool.execute(
        "update subscription set state = 'cancelled' where organization_id = $1", tenant.organization_id
    )
    await until(house, f"/{slug}/x", tenant.key, 403, "no_subscription")


async def test_403_scope(house: House):
    mine, other = await house.a_service(), await house.a_service(operations=(("read", "/things/{id}", True),))
    key = await house.a_key(scopes=[mine, f"{other}:read"])
    assert (await house.ask(f"/{mine}/anything", key=key)).status == 200
    assert (await house.ask(f"/{other}/things/1", key=key)).status == 200
    problem(await house.ask(f"/{other}/elsewhere", key=key), 403, "scope_missing")


async def test_403_address_with_trusted_proxy(house: House):
    slug = await house.a_service()
    key = await house.a_key(allowed_ips=["203.0.113.0/24", "2001:db8::/32"])
    problem(await house.ask(f"/{slug}/x", key=key), 403, "address_not_allowed")
    assert (await house.ask(f"/{slug}/x", "X-Forwarded-For: 203.0.113.9", key=key)).status == 200
    assert (await house.ask(f"/{slug}/x", "X-Forwarded-For: 2001:db8::1", key=key)).status == 200
    problem(
        await house.ask(f"/{slug}/x", "X-Forwarded-For: 203.0.113.9, 198.51.100.1", key=key), 403, "address_not_allowed"
    )


async def test_403_plan_too_low(house: House):
    slug, tenant = await house.a_service(), await house.a_tenant()
    await house.pool.execute("insert into plan (slug, name, sort_order) values ('high', 'High', 1000)")
    await house.pool.execute(
        "update service set minimum_plan_id = (select id from plan where slug = 'high') where slug = $1", slug
    )
    await until(house, f"/{slug}/x", tenant.key, 403, "plan_too_low")
    document = problem(await house.ask(f"/{slug}/x", key=tenant.key), 403, "plan_too_low")
    assert document["required_plan"] == "high"


async def test_413_announced_and_counted(house: House):
    slug = await house.a_service(max_body_bytes=10)
    assert (await house.ask(f"/{slug}/fits", method="POST", body=b"x" * 10)).status == 200
    document = problem(await house.ask(f"/{slug}/toolong", method="POST", body=b"x" * 11), 413, "body_too_large")
    assert document["max_bytes"] == 10
    chunked = house.gateway.request(f"/{slug}/chunked", house.tenant.key, "Transfer-Encoding: chunked", method="POST")
    problem(await house.gateway.ask(chunked + b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n", "POST"), 413, "body_too_large")
    assert not any(record.state == "whole" for record in house.upstream.records if "/chunked" in record.target)
    assert not house.seen("/toolong")


async def test_429_names_the_limit_and_when_again_and_consumes_nothing(house: House):
    slug, tenant = await house.a_service(), await house.a_tenant(amount=2)
    answers = [await house.ask(f"/{slug}/limited", key=tenant.key) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    document = problem(answers[3], 429, "rate_limited")
    assert document["detail"].startswith("The limit of 2 per hour is used up.")
    assert document["violated_policies"] == ["hour"]
    assert 0 < document["retry_after_seconds"] <= 3600
    assert len(answers[3].values("retry-after")) == 1
    assert abs(int(answers[3].values("retry-after")[0]) - document["retry_after_seconds"]) <= 1
    assert answers[0].values("ratelimit-policy") == ['"hour";q=2;w=3600']
    assert [answer.values("ratelimit")[0].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0", "r=0"]
    assert house.seen("/limited") == 2


async def test_429_many_bad_keys(database_url: str, redis_url: str, house: House):
    from tests.gateways import running_gateway

    slug = await house.a_service()
    async with running_gateway(database_url, redis_url, KEY_BAD_KEY_LIMIT_PER_MINUTE="3") as gateway:
        statuses = [(await gateway.ask(gateway.request(f"/{slug}/x", f"bad-{n}"))).status for n in range(5)]
        good = await gateway.ask(gateway.request(f"/{slug}/x", house.tenant.key))
    assert statuses == [401, 401, 401, 429, 429]
    assert good.status == 200


async def test_502_unreachable_and_504_too_slow(house: House, closed_port: int):
    slug = await house.a_service(port=closed_port)
    problem(await house.ask(f"/{slug}/x"), 502, "upstream_unreachable")
    slow = await house.a_service(first_byte_timeout_ms=200)
    house.upstream.scripts["/slowly"] = Script(response=b"", delay_ms=5000)
    problem(await house.ask(f"/{slow}/slowly"), 504, "upstream_timeout")

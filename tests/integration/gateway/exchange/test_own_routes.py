"""The gateway's own routes: health, readiness, usage, error pages, metrics; and CORS by service policy."""

import asyncio
import json
import re
import urllib.request

from tests.integration.gateway.exchange.conftest import House


async def test_health_and_ready(house: House):
    assert json.loads((await house.ask("/health", key="")).body) == {"status": "ok"}
    answer = await house.eventually("/ready", lambda answer: b'"status":"ready"' in answer.body, key="")
    assert json.loads(answer.body)["reasons"] == []


async def test_405_on_own_routes_is_a_problem_document(house: House):
    answer = await house.ask("/health", key="", method="POST", body=b"x")
    assert answer.status == 405
    assert json.loads(answer.body)["code"] == "method_not_allowed"
    assert answer.values("allow")


async def test_error_pages(house: House):
    page = await house.ask("/errors/rate_limited", key="")
    assert page.status == 200
    assert b"# 429 Limit reached" in page.body
    assert (await house.ask("/errors/nonsense", key="")).status == 404


async def test_usage_costs_nothing_and_shows_every_window(house: House):
    slug, tenant = await house.a_service(), await house.a_tenant(amount=5)
    await house.ask(f"/{slug}/x", key=tenant.key)
    for _ in range(3):
        answer = await house.ask("/user/usage", key=tenant.key)
    usage = json.loads(answer.body)
    assert usage["organization"]["slug"] == tenant.slug
    window = usage["windows"][0]
    assert (window["name"], window["limit"], window["used"], window["remaining"]) == ("hour", 5, 1, 4)
    deadline = asyncio.get_running_loop().time() + 5
    while usage["requests_today"] != 1:
        assert asyncio.get_running_loop().time() < deadline
        usage = json.loads((await house.ask("/user/usage", key=tenant.key)).body)
    assert (await house.ask("/user/usage", key="nonsense")).status == 401


async def test_metrics_are_on_the_internal_port_only(house: House):
    slug = await house.a_service()
    await house.ask(f"/{slug}/counted")
    assert (await house.ask("/metrics")).status == 404
    host, port = house.gateway.internal_address
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        text = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5).read().decode()
        )
        if f'paid_endpoint_exchanges_total{{outcome="served",service="{slug}",status="2xx"}} 1.0' in text:
            break
        assert asyncio.get_running_loop().time() < deadline, text
    assert "paid_endpoint_workers 1.0" in text
    names = re.findall(r"# HELP paid_endpoint_(\w+?)(?:_total)? \1$", text, re.MULTILINE)
    assert names == [], "without a text in gateway/metric_texts.py"


async def test_p22_cors_answers_for_the_listed_origin_only_and_never_allows_credentials(house: House):
    slug = await house.a_service(cors_origins=["https://app.example"])
    asked = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-api-key")
    good = await house.ask(f"/{slug}/x", "Origin: https://app.example", *asked, key="", method="OPTIONS")
    assert good.status == 204
    assert good.values("access-control-allow-origin") == ["https://app.example"]
    for origin in ("https://evil.example", "null"):
        evil = await house.ask(f"/{slug}/x", f"Origin: {origin}", *asked, key="", method="OPTIONS")
        assert evil.values("access-control-allow-origin") == []
        assert evil.values("access-control-allow-credentials") == []
    served = await house.ask(f"/{slug}/x", "Origin: https://app.example")
    assert served.values("access-control-allow-origin") == ["https://app.example"]
    refused = await house.ask(f"/{slug}/x", "Origin: https://app.example", key="nonsense")
    assert (refused.status, refused.values("access-control-allow-origin")) == (401, ["https://app.example"])
    assert not house.seen("OPTIONS")

"""The walk: each unsafe request of the back office with valid input, ready to be sent once. Each name is a method and a path."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from domain import plans
from tests.admins import OperatorBrowser, TestOperator
from tests.integration.admin.actions.scenes import SCENES, Scene, values_of
from tests.integration.admin.tables.asking import send
from tests.integration.portal.test_account_factor import code_of
from tests.portals import PASSWORD
from tests.subscriptions import fresh

Sent = Callable[[], Awaitable[httpx2.Response]]
"""Sends the request."""


@dataclass
class Stage:
    """Where a step is done, and by whom."""

    scene: Scene
    operator: TestOperator

    @property
    def browser(self) -> OperatorBrowser:
        """The operator's."""
        return self.operator.browser

    async def plan(self) -> Any:
        """The customer's plan."""
        return await plans.fetch_plan(self.scene.connection, self.scene.customer.plan)

    async def factor(self) -> str:
        """The secret of a second factor that waits for its first code."""
        await self.browser.post("/account/factor", {"password": PASSWORD})
        return (await self.browser.get("/account")).text.split("secret=")[1].split("&")[0]

    async def code(self) -> str:
        """The present code of a second factor that the code before it put in force."""
        secret = await self.factor()
        confirmed = await self.browser.post("/account/factor/confirm", {"code": code_of(secret, -1)})
        assert confirmed.status_code == 200, confirmed.text
        return code_of(secret)


Step = Callable[[Stage], Awaitable[Sent]]


def _action(slug: str) -> Step:
    async def ready(stage: Stage) -> Sent:
        form = await stage.browser.look(slug, **await values_of(stage.scene, slug))
        return lambda: stage.browser.post(f"/actions/{slug}", {**form, "reason": "the walk"})

    return ready


def _posted(path: str, fields: Callable[[Stage], Awaitable[dict[str, str]]]) -> Step:
    async def ready(stage: Stage) -> Sent:
        form = await fields(stage)
        return lambda: stage.browser.post(path, form)

    return ready


async def _nothing(stage: Stage) -> dict[str, str]:
    return {}


async def _password(stage: Stage) -> dict[str, str]:
    return {"password": PASSWORD}


async def _first_code(stage: Stage) -> dict[str, str]:
    return {"code": code_of(await stage.factor())}


async def _code(stage: Stage) -> dict[str, str]:
    return {"code": await stage.code()}


async def _signing_in(stage: Stage) -> Sent:
    form = {"email": stage.operator.email, "password": PASSWORD}
    browser = stage.scene.office.browser("127.0.0.1")
    await browser.get("/sign-in")
    return lambda: browser.post("/sign-in", form)


async def _second_step(stage: Stage) -> Sent:
    code = await stage.code()
    browser = stage.scene.office.browser("127.0.0.1")
    half = await browser.post("/sign-in", {"email": stage.operator.email, "password": PASSWORD})
    assert half.headers["location"].startswith("/sign-in/factor")
    return lambda: browser.post("/sign-in/factor", {"code": code})


async def _tables_sign_out(stage: Stage) -> Sent:
    headers = {"x-csrftoken": stage.browser.csrf}
    return lambda: stage.browser.client.post("/tables/public/logout", headers=headers)


def _row(method: str, table: str, given: Callable[[Stage], Awaitable[tuple[Any, Any]]]) -> Step:
    """`given` makes the row's id, empty for a new one, and what is sent."""

    async def ready(stage: Stage) -> Sent:
        row, values = await given(stage)
        path = f"{table}/{row}/" if row else f"{table}/"
        return lambda: send(stage.browser, method, path, values)

    return ready


async def _organization(stage: Stage) -> tuple[Any, Any]:
    return stage.scene.customer.organization.id, {"name": "Renamed", "spend_cap_day_micro": 5_000_000}


async def _user(stage: Stage) -> tuple[Any, Any]:
    return (await stage.scene.office.user())[0], {"first_name": "Ada"}


async def _plan(stage: Stage) -> tuple[Any, Any]:
    return (await stage.plan()).id, {"description": "New words"}


async def _limit(stage: Stage) -> Any:
    found = "select id from plan_limit where plan_id = $1 and name = 'hour'"
    return await stage.scene.connection.fetchval(found, (await stage.plan()).id)


async def _limit_change(stage: Stage) -> tuple[Any, Any]:
    return await _limit(stage), {"amount": 7}


async def _limit_deletion(stage: Stage) -> tuple[Any, Any]:
    return await _limit(stage), None


async def _new_limit(stage: Stage) -> tuple[Any, Any]:
    return "", {"plan_id": str((await stage.plan()).id), "name": "minute", "amount": 5, "period": "minute"}


async def _new_price(stage: Stage) -> tuple[Any, Any]:
    operation = await stage.scene.operation()
    return "", {"plan_id": str((await stage.plan()).id), "operation_id": str(operation.id), "price_micro": 7}


async def _price(stage: Stage) -> Any:
    made = await send(stage.browser, "POST", "plan_price/", (await _new_price(stage))[1])
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _price_change(stage: Stage) -> tuple[Any, Any]:
    return await _price(stage), {"price_micro": 9}


async def _price_deletion(stage: Stage) -> tuple[Any, Any]:
    return await _price(stage), None


async def _service(stage: Stage) -> Any:
    slug = (await stage.scene.operation()).service_slug
    return await stage.scene.connection.fetchval("select id from service where slug = $1", slug)


async def _service_change(stage: Stage) -> tuple[Any, Any]:
    return await _service(stage), {"max_connections": 7}


async def _new_service(stage: Stage) -> tuple[Any, Any]:
    slug = fresh("svc")
    upstreams = '[{"url": "http://127.0.0.1:8000"}]'
    return "", {"slug": slug, "name": "Made", "route_prefix": f"/{slug}", "upstreams": upstreams}


async def _operation_change(stage: Stage) -> tuple[Any, Any]:
    return (await stage.scene.operation()).id, {"price_micro": 12}


async def _new_operation(stage: Stage) -> tuple[Any, Any]:
    return "", {"service_id": str(await _service(stage)), "name": "b", "method": "POST", "path_pattern": "/b"}


_API = "/tables/api/tables"
WALK: dict[str, Step] = {
    **{f"POST /actions/{slug}": _action(slug) for slug in SCENES},
    "POST /account/factor": _posted("/account/factor", _password),
    "POST /account/factor/confirm": _posted("/account/factor/confirm", _first_code),
    "POST /account/factor/codes": _posted("/account/factor/codes", _code),
    "POST /account/factor/off": _posted("/account/factor/off", _code),
    "POST /sign-in": _signing_in,
    "POST /sign-in/factor": _second_step,
    "POST /sign-out": _posted("/sign-out", _nothing),
    "POST /tables/public/logout": _tables_sign_out,
    f"PATCH {_API}/organization": _row("PATCH", "organization", _organization),
    f"PATCH {_API}/users": _row("PATCH", "users", _user),
    f"PATCH {_API}/plan": _row("PATCH", "plan", _plan),
    f"POST {_API}/plan_limit": _row("POST", "plan_limit", _new_limit),
    f"PATCH {_API}/plan_limit": _row("PATCH", "plan_limit", _limit_change),
    f"DELETE {_API}/plan_limit": _row("DELETE", "plan_limit", _limit_deletion),
    f"POST {_API}/plan_price": _row("POST", "plan_price", _new_price),
    f"PATCH {_API}/plan_price": _row("PATCH", "plan_price", _price_change),
    f"DELETE {_API}/plan_price": _row("DELETE", "plan_price", _price_deletion),
    f"POST {_API}/service": _row("POST", "service", _new_service),
    f"PATCH {_API}/service": _row("PATCH", "service", _service_change),
    f"POST {_API}/operation": _row("POST", "operation", _new_operation),
    f"PATCH {_API}/operation": _row("PATCH", "operation", _operation_change),
}

NO_ENTRY = {
    "POST /actions/{slug}/preview": "It only looks: PostgreSQL runs it in a read-only transaction.",
}
"""What writes no entry, and why that is right."""

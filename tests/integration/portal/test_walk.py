"""Every unsafe call of an organization's API: the audit says who did it, and of one that fails at its end nothing stays.

Pages do the same by the same commands of the domain; calls of a person's own are in the tests of each.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from domain.audit import Verb
from portal.api.table import ENDPOINTS
from portal.web.admission import Audience
from portal.web.forgery import SAFE_METHODS
from tests.integration.portal.isolation.belongings import belongings
from tests.integration.portal.test_subscription import customer, plan
from tests.mailboxes import new_email
from tests.portals import Person, Portal
from tests.walking import contents, failing


@dataclass
class Stage:
    """A person who owns an organization on a plan, with one of everything, and a member beside them."""

    portal: Portal
    owner: Person
    plan: str
    things: dict[str, Any]
    member: Person

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        """One call, as the owner."""
        return await self.owner.browser.api(method, path, json=json)

    async def done(self, method: str, path: str, json: Any = None) -> None:
        """One that has to be done before."""
        answer = await self.call(method, path, json)
        assert answer.status_code < 400, answer.text


Body = Callable[[Stage], Awaitable[Any]]


def _just(body: Any = None) -> Body:
    async def ready(stage: Stage) -> Any:
        return body

    return ready


async def _higher_plan(stage: Stage) -> Any:
    return {"plan": await plan(stage.portal, rank=3)}


async def _trial_plan(stage: Stage) -> Any:
    return {"plan": await plan(stage.portal, rank=2, cents=1_900, trial_days=14)}


async def _change_that_waits(stage: Stage) -> None:
    await stage.done("POST", "/subscription/change", await _higher_plan(stage))
    await stage.done("POST", "/subscription/change", {"plan": stage.plan})


async def _cancelled(stage: Stage) -> None:
    await stage.done("POST", "/subscription/cancel")


async def _closing(stage: Stage) -> Any:
    return {"confirmation": stage.owner.organization.slug}


async def _heir(stage: Stage) -> Any:
    return {"user_id": stage.member.user_id}


async def _invited(stage: Stage) -> Any:
    return {"email": new_email(), "role": "developer"}


WALK: dict[str, Body] = {
    "PATCH /organization": _just({"name": "Renamed"}),
    "POST /organization/close": _closing,
    "POST /keys": _just({"name": "Billing worker"}),
    "PATCH /keys/{key_id:uuid}": _just({"name": "Renamed"}),
    "DELETE /keys/{key_id:uuid}": _just(),
    "POST /keys/{key_id:uuid}/rotate": _just({"overlap_seconds": 60}),
    "POST /subscription/change": _higher_plan,
    "POST /subscription/keep": _change_that_waits,
    "POST /subscription/trial": _trial_plan,
    "POST /subscription/cancel": _just(),
    "POST /subscription/resume": _cancelled,
    "PUT /subscription/spend-caps": _just({"day": "5", "month": None}),
    "PATCH /team/{user_id:int}": _just({"role": "viewer"}),
    "DELETE /team/{user_id:int}": _just(),
    "POST /team/transfer": _heir,
    "POST /team/invitations": _invited,
    "POST /team/invitations/{invitation_id:uuid}/resend": _just(),
    "DELETE /team/invitations/{invitation_id:uuid}": _just(),
    "POST /webhooks": _just({"url": "https://example.com/webhooks"}),
    "PATCH /webhooks/{endpoint_id:uuid}": _just({"enabled": False}),
    "DELETE /webhooks/{endpoint_id:uuid}": _just(),
    "POST /webhooks/{endpoint_id:uuid}/secret": _just({}),
    "POST /webhooks/{endpoint_id:uuid}/test": _just(),
    "POST /webhooks/deliveries/{delivery_id:uuid}/replay": _just(),
    "PUT /alerts/thresholds": _just(
        {"day_cost": "25", "error_percent": 20, "error_requests": 100, "low_credits": None, "usage_percents": [50]}
    ),
}
"""Each call with what makes its body, after what has to be done before it."""


@pytest.fixture
async def stage(portal: Portal) -> Stage:
    """All of it of the test's own."""
    free = await plan(portal, rank=1)
    owner = await customer(portal, free)
    member = await portal.person("admin", owner.organization)
    things = {**await belongings(portal, owner), "user_id": member.user_id}
    return Stage(portal, owner, free, things, member)


async def ready(stage: Stage, name: str) -> Callable[[], Awaitable[Any]]:
    """What sends the call."""
    method, path = name.split()
    for part, value in stage.things.items():
        path = path.replace(f"{{{part}:uuid}}", str(value)).replace(f"{{{part}:int}}", str(value))
    body = await WALK[name](stage)
    return lambda: stage.call(method, path, body)


def test_the_walk_goes_through_every_unsafe_call_of_an_organization():
    calls = [each for each in ENDPOINTS if each.audience is Audience.MEMBER and each.method not in SAFE_METHODS]
    assert {f"{each.method} {each.path}" for each in calls} == WALK.keys()


@pytest.mark.parametrize("name", WALK)
async def test_it_is_written_down_by_whom_what_to_which_thing_from_where_by_which_request(portal, stage, name):
    send = await ready(stage, name)
    answer = await send()
    assert answer.status_code < 400, answer.text
    written = "select * from audit_entry where request_id = $1"
    entries = await portal.pool.fetch(written, answer.headers["x-request-id"])
    assert entries
    for entry in entries:
        assert (entry["actor_kind"], entry["actor_id"]) == ("user", stage.owner.user_id)
        assert entry["actor_name"] == stage.owner.email
        assert entry["organization_id"] == stage.owner.organization.id
        assert entry["verb"] in list(Verb)
        assert entry["object_type"]
        assert entry["object_id"]
        assert entry["address"] == "127.0.0.1"


@pytest.mark.parametrize("name", WALK)
async def test_nothing_of_it_stays_when_its_transaction_fails_at_the_end(portal, stage, name):
    send = await ready(stage, name)
    async with portal.pool.acquire() as connection:
        before = await contents(connection)
        async with failing(connection):
            answer = await send()
        assert answer.status_code == 500, answer.text
        after = await contents(connection)
    assert {table for table in before if after[table] != before[table]} == set()

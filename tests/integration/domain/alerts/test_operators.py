"""What operators are told of the whole installation: services and operations that fail, and what a day costs."""

from datetime import timedelta
from uuid import UUID

from domain import operations, services
from domain.alerts.looking import Told, look_at_installation
from domain.alerts.reading import open_alerts
from domain.mail_texts import render
from domain.outbox import values_of
from tests.integration.domain.alerts.customers import SECRETS, customer, looker, now
from tests.usage import call, stored

MICRO = 1_000_000
TO = "operators@example.com"


async def look(pool, at=None, **settings) -> Told:
    async with pool.acquire() as connection:
        return await look_at_installation(
            connection, looker(**{"email": TO, "error_requests": 10} | settings), at or now()
        )


async def stands(pool, at=None) -> list[tuple[str, str, int, int]]:
    async with pool.acquire() as connection:
        return [(one.kind, one.name, one.value, one.threshold) for one in await open_alerts(connection, at or now())]


async def mails(pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("select * from outbox_message where recipient = $1 order by created_at, id", TO)
    values = [values_of(SECRETS, row["id"], row["content"]) for row in rows]
    texts = [
        render("operator_alert", {"product": "Gate", "base_url": "https://app.example", **each}) for each in values
    ]
    return [(one.subject, one.text) for one in texts]


async def weather(pool) -> tuple[UUID, UUID]:
    async with pool.acquire() as connection:
        service = await services.create(
            connection, slug="weather", prefix="/weather", upstreams=["http://127.0.0.1:9"], name="Weather"
        )
        operation = await operations.create(
            connection, service_slug="weather", method="GET", path_pattern="/f", name="forecast", price_micro=0
        )
    return service.id, operation.id


async def answered(pool, organization, ids, count: int, at, **changes) -> None:
    async with pool.acquire() as connection:
        await stored(connection, [call(organization, at, None, *ids, **changes) for _ in range(count)])


async def test_a_share_of_failures_is_told_once_until_it_was_over(own):
    acme, ids, at = await customer(own), await weather(own), now()
    await answered(own, acme.id, ids, 8, at)
    await answered(own, acme.id, ids, 30, at, status=429, outcome="refused", refusal=b"rate_limited")
    await answered(own, acme.id, ids, 9, at, status=404)
    assert (await look(own, at)).levels == 0, "neither refusals nor answers of 4xx are failures"
    await answered(own, acme.id, ids, 5, at, status=502, outcome="failed")
    told = await look(own, at)
    assert (told.levels, told.mails) == (2, 2), "5 of 22: the service and its operation"
    assert (await look(own, at)).levels == 0
    assert sorted(await stands(own, at)) == [
        ("error_rate", "Weather", 5, 22),
        ("error_rate", "forecast of Weather", 5, 22),
    ]
    subject, text = min(await mails(own))
    assert subject == "Gate: 22.7 % of the requests to Weather fail"
    assert "Of 22 requests of this and the last hour, 5 failed upstream." in text
    assert "http://localhost:3001" in text
    await answered(own, acme.id, ids, 3, at)
    assert (await look(own, at)).armed == 0, "20 % still holds"
    later = at + timedelta(hours=3)
    assert (await look(own, later)).armed == 2
    assert await stands(own, later) == []
    await answered(own, acme.id, ids, 20, later, status=500)
    assert (await look(own, later)).levels == 2


async def test_no_address_and_no_threshold(own):
    acme, ids, at = await customer(own), await weather(own), now()
    await answered(own, acme.id, ids, 20, at, status=502, outcome="failed", cost_micro=MICRO)
    assert (await look(own, at, error_percent=0)).levels == 0
    told = await look(own, at, email="")
    assert (told.levels, told.mails) == (2, 0)
    assert len(await stands(own, at)) == 2, "it stands in the list all the same"
    assert (await look(own, at, error_percent=0)).armed == 2


async def test_the_cost_of_a_day_is_told_of_one_and_of_all(own):
    acme, other, at = await customer(own), await customer(own), now()
    await answered(own, acme.id, (), 5, at, cost_micro=MICRO)
    await answered(own, other.id, (), 4, at, cost_micro=MICRO)
    costs = {"organization_cost": "5", "total_cost": "9.5"}
    assert (await look(own, at, **costs)).levels == 1
    await answered(own, other.id, (), 1, at, cost_micro=MICRO // 2)
    assert ((await look(own, at, **costs)).levels, (await look(own, at, **costs)).levels) == (1, 0)
    assert sorted(await stands(own, at)) == [
        ("day_cost", "Acme", 5 * MICRO, 5 * MICRO),
        ("day_cost", "all organizations", 9_500_000, 9_500_000),
    ]
    assert [subject for subject, _ in await mails(own)] == [
        "Gate: 5 credits were charged to Acme today",
        "Gate: 9.5 credits were charged to all organizations today",
    ]
    tomorrow = at + timedelta(days=1)
    assert await stands(own, tomorrow) == []
    await answered(own, acme.id, (), 5, tomorrow, cost_micro=MICRO)
    assert (await look(own, tomorrow, **costs)).levels == 1


async def test_who_is_suspended_is_no_alert(own):
    acme, at = await customer(own), now()
    await answered(own, acme.id, (), 5, at, cost_micro=MICRO)
    await own.execute("update organization set state = 'suspended' where id = $1", acme.id)
    assert (await look(own, at, organization_cost="5")).levels == 0

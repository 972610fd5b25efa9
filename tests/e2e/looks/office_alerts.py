"""Alerts as they may stand on some day: for the pictures of the back office, and with the longest names for its tests."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from schema.messages import AlertKind
from tests.e2e.looks.office import OfficeSite

MICRO = 1_000_000
_INSERT = """
insert into alert_state (kind, subject, organization_id, name, level, value, threshold, period_ends, since, raised_level, raised_at)
select $1, coalesce(nullif($2, ''), gen_random_uuid()::text), (select id from organization where slug = $3), $4, $5::smallint, $6,
       $7, $8, $9::timestamptz, 100, $9::timestamptz - interval '40 minutes' * ($5::smallint = 0)::int returning id
"""
_MANY = """
insert into alert_state (kind, subject, organization_id, name, level, value, threshold, since, raised_level, raised_at,
                         snoozed_until, snooze_reason)
values ($1, gen_random_uuid()::text, $2, $3, $4::smallint, 999999999999999, 999999999999999, now(), 100, now(),
        now() + interval '1 day', $3)
"""


async def tell_alerts(site: OfficeSite) -> None:
    """Some of each kind, and one that is snoozed."""
    now = datetime.now(UTC)
    tonight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    async with site.office.pool.acquire() as connection:
        service = await connection.fetchrow("select id, name from service order by name limit 1")
        operation = await connection.fetchrow(
            "select id, name from operation where service_id = $1 limit 1", service["id"]
        )
        of_operation = (f"{service['id']}/{operation['id']}", "", f"{operation['name']} of {service['name']}")
        rows = (
            (AlertKind.ERROR_RATE, f"{service['id']}/all", "", service["name"], 100, 412, 1_730, None, 14),
            (AlertKind.ERROR_RATE, *of_operation, 100, 402, 611, None, 14),
            (AlertKind.ERROR_RATE, "", "", "Geocoding", 0, 31, 120, None, 200),
            (AlertKind.DAY_COST, "", "bolt-deliveries", "Bolt Deliveries", 100, 512 * MICRO, 500 * MICRO, tonight, 65),
            (AlertKind.USAGE, "", "cedar-health", "hour", 100, 10_000, 10_000, tonight, 8),
            (AlertKind.USAGE, "", "ember-games", "day", 80, 81_240, 100_000, tonight, 49),
            (AlertKind.CREDITS_LOW, "", "grain-co", "credits", 100, 9_500_000, 10 * MICRO, None, 95),
            (AlertKind.SPEND_CAP, "", "juniper-maps", "spend_cap.day", 50, 26 * MICRO, 50 * MICRO, tonight, 130),
        )
        ids = [
            await connection.fetchval(_INSERT, *row[:-1], now - timedelta(minutes=int(row[-1]))) for row in rows
        ]  # fmt: skip
    reason = "Their upstream's maintenance, until the evening"
    until = f"{now + timedelta(hours=5):%Y-%m-%dT%H:%M}"
    answer = await site.operator.browser.act("snooze-alert", reason, alert=str(ids[1]), until=until)
    assert answer.status_code == 200, answer.text


async def many_alerts(connection: Any, organization_id: UUID, name: str, count: int) -> None:
    """Of every kind, open and ended, with this name."""
    for kind in AlertKind:
        of = None if kind is AlertKind.ERROR_RATE else organization_id
        for number in range(count):
            await connection.execute(_MANY, kind, of, name, 100 * (number % 2))

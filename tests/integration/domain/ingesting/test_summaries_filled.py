"""What was folded before there were summaries is summed up by the migration, as folding would have."""

import importlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.ingesting.grains import EVERY
from tests.usage import call, stored

totals = importlib.import_module("migrations.paid_endpoint_2026_11_27t01_20_00_000000")
migration = importlib.import_module("migrations.paid_endpoint_2026_11_26t22_33_00_000000")
SUMMARIES = (
    "select organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors, refused,"
    " bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency from usage_summary where organization_id {} '{}' order by 1, 2, 3, 4, 5, 6, 7"
)

USAGE = "select grain, bucket, organization_id, requests, errors, refused, cost_micro from organization_usage order by 1, 2, 3"


async def test_the_migration_makes_the_same_summaries_as_folding(database):
    now = datetime.now(UTC)
    organizations, keys, service, operation = [uuid4(), uuid4()], [uuid4(), uuid4()], uuid4(), uuid4()
    calls = [
        call(
            organizations[at % 2], now - timedelta(hours=at * 7), keys[at % 3 % 2], service, operation if at % 5 else None,
            status=(200, 404, 502)[at % 3], total_us=100 * 2 ** (at % 12),
        )
        for at in range(60)
    ]  # fmt: skip
    await stored(database, [*calls, call(None, now, None)])
    folded = await database.fetch(SUMMARIES.format("<>", EVERY))
    everybody = await database.fetch(SUMMARIES.format("=", EVERY))
    organizations_before = await database.fetch(USAGE)
    assert len(folded) > 100
    assert len(everybody) > 50
    assert len(organizations_before) > 4
    await database.execute("truncate usage_summary, organization_usage")
    await database.execute(migration.FILL)
    assert await database.fetch(SUMMARIES.format("<>", EVERY)) == folded
    await database.execute(totals.FILL)
    assert await database.fetch(SUMMARIES.format("=", EVERY)) == everybody
    assert await database.fetch(USAGE) == organizations_before

"""What was folded before there were summaries is summed up by the migration, as folding would have."""

import importlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.usage import call, stored

migration = importlib.import_module("migrations.paid_endpoint_2026_11_26t22_33_00_000000")
SUMMARIES = (
    "select organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors, refused,"
    " bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency from usage_summary order by 1, 2, 3, 4, 5, 6, 7"
)


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
    folded = await database.fetch(SUMMARIES)
    assert len(folded) > 100
    await database.execute("truncate usage_summary")
    await database.execute(migration.FILL)
    assert await database.fetch(SUMMARIES) == folded

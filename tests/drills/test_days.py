"""The drills of whole days in their short forms."""

from datetime import UTC, datetime

import pytest

from domain.credits.granting import grant
from domain.log_summaries import summarise
from domain.partitions import ensure_partitions, partition_name, today
from jobs.registry import JOBS
from tests.drills import log_days, restore_day
from tests.drills.log_days_traffic import SLICES, Traffic, differences
from tests.gateways import connected, make_tenant

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_every_job_by_its_schedule_and_summaries_that_are_their_logs(fresh_database_url) -> None:
    outcome = await log_days.drill(fresh_database_url, 960, 1, kept=1)
    assert outcome.broken == [], outcome.lines
    told = [line[0].partition(" ")[0] for line in outcome.lines[-len(JOBS) :]]
    assert told == [job.name for job in JOBS], "a line for each job"


async def test_a_summary_that_is_not_its_rows_is_seen(fresh_database_url) -> None:
    async with connected(fresh_database_url) as connection:
        first = datetime.combine(today(), datetime.min.time(), UTC)
        tenant = await make_tenant(connection, "payer")
        await grant(connection, tenant.organization_id, amount_micro=10**9, reason="for a day")
        await ensure_partitions(connection, today(), today())
        await Traffic(fresh_database_url, first, 1, 480, [tenant.organization_id], [tenant.key_id], ahead=SLICES).run()
        await summarise(connection, today())
        table = partition_name(today())
        assert await differences(connection, table, today()) == 0
        for change in (
            "requests = requests + 1", "total_us_max = total_us_max + 1", "latency[1] = latency[1] + 1",
            "status_classes[6] = 99", "upstream_us_sum = upstream_us_sum - 1", "key_id = gen_random_uuid()",
        ):  # fmt: skip
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                f"update log_summary set {change} where ctid = (select min(ctid) from log_summary)"
            )
            assert await differences(connection, table, today()) > 0, change
            await transaction.rollback()


async def test_backup_destroy_restore(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("restore")
    outcome = await restore_day.drill(folder, 3_000)
    assert outcome.broken == [], outcome.lines

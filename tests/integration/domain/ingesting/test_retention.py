"""Rollups of minutes and hours go in time, those of days stay."""

from domain.ingesting.folding import delete_expired

INSERT = """
insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests)
select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - age, grain, 2, 1
  from unnest(array['minute', 'hour', 'day']) as g (grain),
       unnest(array['1 hour', '47 hours', '49 hours', '89 days', '91 days']::interval[]) as a (age),
       generate_series(1, 30)
"""


async def test_what_is_old_enough_is_deleted(database):
    await database.execute(INSERT)
    assert await delete_expired(database) == 30 * (3 + 1)
    left = await database.fetch("select grain, count(*) from usage_rollup group by grain order by grain")
    assert [tuple(row) for row in left] == [("day", 150), ("hour", 120), ("minute", 60)]
    assert await delete_expired(database) == 0


SUMMARIES = """
insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests)
select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - age, grain, 2, 1
  from unnest(array['hour', 'day', 'week']) as g (grain), unnest(array['91 days', '93 days']::interval[]) as a (age)
"""


async def test_summaries_of_hours_go_in_time_those_of_days_and_weeks_stay(database):
    await database.execute(SUMMARIES)
    assert await delete_expired(database) == 1
    left = await database.fetch("select grain, count(*) from usage_summary group by grain order by grain")
    assert [tuple(row) for row in left] == [("day", 2), ("hour", 1), ("week", 2)]

"""Usage entries against the log rows behind them, and log rows with a cost against the entries that charged them; the
same of jobs, each of which has an entry of its own.

Rows are kept for some days, by partitions; what ended before the oldest partition begins cannot be compared any more, nor
what ended on a day that was dropped while an older one is kept (`domain.log_dropping`).
"""

KEPT_SINCE = r"""
select min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'request_log'::regclass
"""
"""When the oldest partition of the log begins; null: there is none."""

_ALL_KEPT = """
not exists (select from log_day d where d.edition > 0 and d.day between (p.first_at at time zone 'UTC')::date
                                                                    and (p.last_at at time zone 'UTC')::date)
"""

USAGE_CHECKED = f"select count(*) from credit_entry p where type = 'usage' and first_at >= $1 and {_ALL_KEPT}"

USAGE_CHECK = f"""
with charged as (
  select organization_id, created_at as stored_at, '' as job, count(*) as requests, sum(cost_micro)::bigint as cost
    from request_log where cost_micro > 0 group by organization_id, created_at
  union all
  select organization_id, ended_at, 'job:' || id, 1, charged_micro from async_job where charged_micro > 0
), posted as (
  select organization_id, stored_at, case when idempotency_key like 'job:%' then idempotency_key else '' end as job,
         requests, amount_micro, first_at, last_at, number from credit_entry
   where type = 'usage'
)
select organization_id,
       c.what || coalesce(' of usage entry ' || p.number, ' of ' || nullif(job, ''),
                          ' of the log rows stored at ' || stored_at) as what,
       c.expected, c.found
  from posted p full join charged l using (organization_id, stored_at, job),
       lateral (values ('requests', coalesce(l.requests, 0), coalesce(p.requests, 0)),
                       ('amount', coalesce(l.cost, 0), coalesce(p.amount_micro, 0))) as c (what, expected, found)
 where c.expected <> c.found and (p.number is null or (p.first_at >= $1 and {_ALL_KEPT}))
"""

"""Usage entries against the log rows behind them, and log rows with a cost against the entries that charged them.

Rows are kept for some days, by partitions; what ended before the oldest partition begins cannot be compared any more.
"""

KEPT_SINCE = r"""
select min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'request_log'::regclass
"""
"""When the oldest partition of the log begins; null: there is none."""

USAGE_CHECKED = "select count(*) from credit_entry where type = 'usage' and first_at >= $1"

USAGE_CHECK = """
with charged as (
  select organization_id, created_at as stored_at, count(*) as requests, sum(cost_micro)::bigint as cost, max(at) as last
    from request_log where cost_micro > 0 group by organization_id, created_at
), posted as (
  select organization_id, stored_at, requests, amount_micro, first_at, number from credit_entry where type = 'usage'
)
select organization_id,
       c.what || coalesce(' of usage entry ' || p.number, ' of the log rows stored at ' || stored_at) as what,
       c.expected, c.found
  from posted p full join charged l using (organization_id, stored_at),
       lateral (values ('requests', coalesce(l.requests, 0), coalesce(p.requests, 0)),
                       ('amount', coalesce(l.cost, 0), coalesce(p.amount_micro, 0))) as c (what, expected, found)
 where c.expected <> c.found and (p.first_at >= $1 or p.number is null)
"""

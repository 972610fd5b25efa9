"""What must be equal in the ledger, as statements: each returns what is not, over the whole database.

Every row says `organization_id, what, expected, found`: expected is what the parts add up to, found is what stands there.
"""

COUNTS = """
select (select count(*) from credit_account) as accounts, (select count(*) from credit_entry) as entries,
       (select count(*) from credit_grant) as grants, (select count(*) from credit_lease) as leases,
       (select count(*) from credit_reservation where state = 'held') as reservations_held,
       (select count(*) from credit_entry where type = 'usage') as usage_entries
"""

_BALANCES = """
with moved as (
  select organization_id, count(*) as entries, max(number) as last,
         sum(case when credit = 'credits' then amount_micro else -amount_micro end) as balance,
         sum(case when debit = 'purchases' then amount_micro when credit = 'purchases' then -amount_micro else 0 end)
           as purchases,
         sum(case when debit = 'bonuses' then amount_micro when credit = 'bonuses' then -amount_micro else 0 end)
           as bonuses,
         sum(case when debit = 'adjustments' then amount_micro when credit = 'adjustments' then -amount_micro else 0 end)
           as adjustments,
         sum(case when credit = 'usage' then amount_micro when debit = 'usage' then -amount_micro else 0 end) as usage,
         sum(case when credit = 'expiries' then amount_micro when debit = 'expiries' then -amount_micro else 0 end)
           as expiries
    from credit_entry group by organization_id
), granted as (
  select organization_id, sum(remaining_micro) as remaining from credit_grant group by organization_id
), leased as (
  select organization_id, sum(amount_micro - spent_micro - returned_micro) as unspent from credit_lease group by 1
), held as (
  select organization_id, sum(amount) as held from (
    select organization_id, amount_micro as amount from credit_reservation where state = 'held'
    union all
    select organization_id, price_micro from async_job where ended_at is null and price_micro > 0) as h group by 1
), together as (
  select organization_id, m, g.remaining, l.unspent, h.held, a
    from credit_account a full join moved m using (organization_id) full join granted g using (organization_id)
    full join leased l using (organization_id) full join held h using (organization_id)
)
select organization_id, what, coalesce(expected, 0)::bigint as expected, coalesce(found, 0)::bigint as found
  from together t, lateral (values
    ('balance, by its entries', (m).balance, (a).balance_micro),
    ('purchases, by their entries', (m).purchases, (a).purchases_micro),
    ('bonuses, by their entries', (m).bonuses, (a).bonuses_micro),
    ('adjustments, by their entries', (m).adjustments, (a).adjustments_micro),
    ('usage, by its entries', (m).usage, (a).usage_micro),
    ('expiries, by their entries', (m).expiries, (a).expiries_micro),
    ('number of entries', (m).entries, (a).entries),
    ('number of the last entry', (m).entries, (m).last),
    ('balance, by what remains of the grants', t.remaining, (a).balance_micro),
    ('leased, by the leases', t.unspent, (a).leased_micro),
    ('reserved, by the reservations and the open jobs', t.held, (a).reserved_micro),
    ('available: granted less posted less held',
     coalesce((m).balance, 0) - coalesce(t.unspent, 0) - coalesce(t.held, 0),
     (a).balance_micro - (a).leased_micro - (a).reserved_micro)
  ) as c (what, expected, found)
 where coalesce(expected, 0) <> coalesce(found, 0)
"""

_RUNNING = """
select organization_id, 'balance after entry ' || number as what, expected::bigint, found from (
  select organization_id, number, balance_after_micro as found, running as expected,
         row_number() over (partition by organization_id order by number) as nth
    from (select organization_id, number, balance_after_micro,
                 sum(case when credit = 'credits' then amount_micro else -amount_micro end)
                   over (partition by organization_id order by number rows unbounded preceding) as running
            from credit_entry) as r
   where balance_after_micro <> running) as d
 where nth = 1
"""

_GRANTS = """
select coalesce(g.organization_id, e.organization_id) as organization_id,
       'grant of entry ' || coalesce(e.number::text, g.entry_id::text) as what,
       coalesce(e.amount_micro, 0) as expected, coalesce(g.amount_micro, 0) as found
  from (select * from credit_entry where credit = 'credits') as e
  full join credit_grant g on g.entry_id = e.id and g.organization_id = e.organization_id
 where e.amount_micro is distinct from g.amount_micro
"""

_HOLDERS_THAT_ENDED = """
select l.organization_id, 'lease of the ended holder ' || l.holder_id as what, 0::bigint as expected,
       l.amount_micro - l.spent_micro - l.returned_micro as found
  from credit_lease l join credit_holder h on h.id = l.holder_id
 where h.closed_at is not null and l.amount_micro <> l.spent_micro + l.returned_micro
union all
select r.organization_id, 'reservation of the ended holder ' || r.holder_id, 0, r.amount_micro
  from credit_reservation r join credit_holder h on h.id = r.holder_id
 where h.closed_at is not null and r.state = 'held'
"""

_REFUNDS = """
select o.organization_id, 'refunds of entry ' || o.number || ', at most what it moved' as what,
       case when o.type in ('purchase', 'usage') then o.amount_micro else 0 end as expected, r.refunded as found
  from (select refund_of, sum(amount_micro)::bigint as refunded, count(distinct organization_id) as owners,
               min(organization_id::text) as owner
          from credit_entry where refund_of is not null group by refund_of) as r
  join credit_entry o on o.id = r.refund_of
 where r.refunded > o.amount_micro or o.type not in ('purchase', 'usage') or r.owners > 1
    or r.owner <> o.organization_id::text
"""

CHECKS = (_BALANCES, _RUNNING, _GRANTS, _HOLDERS_THAT_ENDED, _REFUNDS)

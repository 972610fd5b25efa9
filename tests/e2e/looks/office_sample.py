"""Acme Weather and its neighbours as operators see them: a back office to take pictures of."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from domain import keys, organizations
from domain.ingesting.folding import merge
from domain.ingesting.rollup_writing import STAGE
from domain.ingesting.tallies import Tallies
from domain.job_runs import publish
from domain.journal.records import OUTCOME_CODE, pack_end
from domain.settings import Settings
from domain.snapshots import NO_ID
from jobs.registry import JOBS
from tests.drills.lived_in_life import write_ledger
from tests.drills.lived_in_logs import SPAN
from tests.e2e.looks.office import OfficeSite
from tests.e2e.looks.office_alerts import tell_alerts
from tests.e2e.looks.sample import NAMESPACE, Sample

NEIGHBOURS = (
    ("Bolt Deliveries", "ultra", 1_800),
    ("Cedar Health", "pro", 900),
    ("Delta Farms", "free", 600),
    ("Ember Games", "enterprise", 2_400),
    ("Fjord Ferries", "pro", 500),
    ("Grain & Co", "free", 120),
    ("Harbour Insurance", "ultra", 700),
    ("Iris Optics", "free", 0),
    ("Juniper Maps", "pro", 300),
    ("Kite Aerial", "free", 60),
)
"""Name, plan, and how many requests of the last three days are kept."""


async def write_neighbours(connection: Any, settings: Settings, now: datetime) -> None:
    """Other organizations with keys, requests, credits; jobs with their runs."""
    for number, (name, plan, rows) in enumerate(NEIGHBOURS):
        made = await organizations.create(connection, name=name, plan_slug=plan)
        key_ids = await _keys(connection, settings, made.id, name, number)
        await _owner(connection, made.id, name)
        since = now - timedelta(days=9 * number + 1)
        await connection.execute("update organization set created_at = $2 where id = $1", made.id, since)
        await connection.execute("update api_key set created_at = $2 where organization_id = $1", made.id, since)
        if not rows:
            continue
        await connection.execute(_LIKE_ACME, made.id, key_ids, rows, now - timedelta(minutes=number))
        await write_ledger(connection, made.id, now, entries=200)
    await _count_everything(connection)
    await _jobs(connection, now)
    await connection.execute("analyze")


async def _owner(connection: Any, organization_id: UUID, name: str) -> None:
    email = f"owner@{name.lower().replace(' & ', '-').replace(' ', '-')}.example"
    user_id = await connection.fetchval(
        "insert into users (username, password, email, first_name, last_name, active, admin, superuser, email_verified_at)"
        " values ($1, '!', $1, '', '', true, false, false, now()) returning id",
        email,
    )
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, 'owner')", organization_id, user_id
    )


async def work(site: OfficeSite, sample: Sample) -> dict[str, Any]:
    """What an operator does on such a day, by the actions; what fills the parameter of each page."""
    operator, slug = site.operator.browser, sample.slug
    friday = datetime.now().astimezone() + timedelta(days=3)
    done = (
        ("grant-credits", "Outage of Tuesday, ticket 4711",
         {"organization": slug, "credits": "250", "kind": "bonus", "said": "Sorry for the outage of Tuesday"}),
        ("override-limit", "Launch on Thursday, agreed with sales",
         {"organization": slug, "limit": "hour", "amount": "50000", "until": f"{friday:%Y-%m-%d}T18:00"}),
        ("mint-key", "They lost theirs", {"organization": "juniper-maps", "name": "Spare key", "environment": "live"}),
        ("suspend-organization", "Three invoices unpaid", {"organization": "kite-aerial"}),
        ("create-organization", "Signed on the fair",
         {"name": "Lumen Lighting", "plan": "pro", "owner": "lea@lumen-lighting.example", "bonus": "50"}),
        ("shadow-limit", "To see what it would refuse", {"plan": "free", "limit": "day"}),
        ("send-test-mail", "New mail server", {}),
    )  # fmt: skip
    answers = {}
    for action, reason, values in done:
        answer = await operator.act(action, reason, **values)
        assert answer.status_code == 200, (action, answer.text)
        answers[action] = answer.text
    await tell_alerts(site)
    mail = re.search(r"/mails/([^\"]+)\"", answers["send-test-mail"])
    pool = site.office.pool
    return {
        "/organizations/{slug}": slug,
        "/organizations/{slug}/keys": slug,
        "/plans/{slug}": "pro",
        "/users/{user_id:int}": sample.owner_id,
        "/keys/{key_id:uuid}": sample.objects["key_id"],
        "/requests/{request_id:uuid}": sample.objects["request_id"],
        "/jobs/{run_id:uuid}": await pool.fetchval("select id from job_run where state = 'failed' limit 1"),
        "/async-jobs/{job_id:uuid}": sample.objects["job_id"],
        "/mails/{message_id}": mail[1] if mail else None,
    }


# Their requests are some of Acme's, each under an id of its own.
_LIKE_ACME = """
with chosen as (
    select l.id from request_log l join organization o on o.id = l.organization_id and o.slug = 'acme-weather'
     where l.at < $4 order by md5(l.id::text || $1::uuid::text) limit $3)
insert into request_log
select (jsonb_populate_record(r, jsonb_build_object(
           'id', (left(r.id::text, 24) || left(md5(r.id::text || $1::uuid::text), 12))::uuid, 'organization_id', $1::uuid,
           'key_id', ($2::uuid[])[1 + (random() * (cardinality($2::uuid[]) - 1))::int]))).*
  from request_log r where r.id in (select id from chosen)
"""
_ROWS = "select * from request_log"
_SHIFTS, _SHARE = 12, 0.2
"""How many earlier spans of three days there are, and how many of the requests of each are those of the last."""


async def _keys(connection: Any, settings: Settings, organization_id: UUID, name: str, number: int) -> list[UUID]:
    made = [
        await keys.create(connection, settings.keys, organization_id=organization_id, name=f"{name}: {what}")
        for what in ("production", "batch", "trial")[: 1 + number % 3]
    ]
    return [each.record.id for each in made]


async def _count_everything(connection: Any) -> None:
    """All sums as the ingester would have left them, for what is logged and for weeks before that."""
    tallies = Tallies()
    for row in await connection.fetch(_ROWS):
        spans = _SHIFTS if int(row["id"].hex[-4:], 16) < _SHARE * 0x10000 else 0
        for span in range(spans + 1):
            tallies.count(_record(row, row["at"] - span * SPAN))
    await connection.execute(STAGE)
    async with connection.transaction():
        await connection.execute("truncate usage_rollup, usage_summary")
        await merge(connection, tallies)


def _record(row: Any, at: datetime) -> bytes:
    ids = [row[name] or NO_ID for name in ("organization_id", "key_id", "service_id", "operation_id")]
    texts = {
        name: str(row[name] or "").encode()
        for name in ("method", "path", "query", "refusal", "limit_name", "client", "user_agent", "trace_id")
    }
    return pack_end(
        row["id"].bytes,
        b"".join(each.bytes for each in ids),
        int(at.timestamp() * 1e6),
        row["total_us"],
        -1 if row["upstream_us"] is None else row["upstream_us"],
        row["bytes_in"],
        row["bytes_out"],
        row["cost_micro"],
        row["status"],
        OUTCOME_CODE[row["outcome"]],
        **texts,
        decision=row["decision"] or b"",
    )


async def _jobs(connection: Any, now: datetime) -> None:
    await publish(connection, [job.record for job in JOBS])
    for number in range(24):
        job = JOBS[number % len(JOBS)].record
        at = now - timedelta(minutes=37 * number + 4)
        failed = number == 5
        await connection.execute(
            "insert into job_run (id, created_at, name, ticket, state, attempt, started_at, ended_at, result, error, worker)"
            " values ($1, $2, $3, $4, $5, $6, $2, $7, $8::jsonb, $9, 'node-1/4711')",
            uuid5(NAMESPACE, f"run {number}"),
            at,
            job.name,
            f"run {number}",
            "failed" if failed else "succeeded",
            5 if failed else 1,
            at + timedelta(seconds=0.2 * (number % 7 + 1)),
            None if failed else f'{{"rows": {number * 317 % 1000}}}',
            "The server closed the connection." if failed else "",
        )

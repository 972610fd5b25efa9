"""Acme Weather: an organization to take pictures of, the same each time but for the moment at which it is looked at."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from domain import keys, operations, organizations, plans, services
from domain.audit import Actor, Thing, Verb
from domain.limit_texts import parse_limits
from domain.passwords import hash_password
from domain.sealing import seal
from domain.seed_plans import SEED_PLANS
from domain.settings import Settings
from domain.snapshots import LimitSnapshot
from tests.drills.lived_in_life import write_ledger
from tests.drills.lived_in_logs import Call, decisions_of, write_logs
from tests.drills.lived_in_rollups import fold_logs, write_older_rollups, write_summaries
from tests.job_rows import write_job

NAMESPACE = UUID("5f0f3c52-3d9a-4c53-8a4b-3c3f7c6a2a11")
ROWS = 9_000
"""Written evenly; the hours in which people sleep lose most of theirs."""
OWNER = "ada@acme-weather.example"
TEAM = (
    (OWNER, "Ada", "Lindqvist", "owner"),
    ("kofi@acme-weather.example", "Kofi", "Mensah", "admin"),
    ("mei@acme-weather.example", "Mei", "Tanaka", "developer"),
    ("jonas@acme-weather.example", "Jonas", "Weber", "developer"),
    ("lucia@acme-weather.example", "Lucia", "Ferrari", "billing"),
)
KEYS = (
    ("Mobile app, production", "live"),
    ("Web site", "live"),
    ("Nightly report", "live"),
    ("Billing worker", "live"),
    ("Staging", "test"),
    ("Laptop of Mei", "test"),
)
CATALOG = (
    ("weather", "Weather", "Forecasts", "Forecasts, alerts and history for any place on earth.", {"featured": True},
     (("GET", "/forecast/{city}", "forecast", 2_000), ("GET", "/alerts/{city}", "alerts", 1_000),
      ("GET", "/history/{city}", "history", 5_000))),
    ("maps", "Maps", "Places", "Tiles, geocoding and routes.", {},
     (("GET", "/tiles/{id}", "tile", 100), ("GET", "/geocode", "geocode", 1_500))),
    ("air", "Air quality", "Forecasts", "Particles, ozone and pollen, every ten minutes.", {"beta": True},
     (("GET", "/index/{city}", "index", 3_000),)),
    ("translate", "Translate", "Language", "Sixty languages, by the sentence.", {},
     (("POST", "/texts", "translate", 10_000),)),
    ("reports", "Reports", "Forecasts", "A season's weather of one place, as a document.", {},
     (("POST", "/seasons/{city}", "season", 2_000_000),)),
    ("tides", "Tides", "Places", "High and low water at 8,000 harbours.", {"coming_soon": True}, ()),
)  # fmt: skip


_ALERTS = """
with chosen as (
    insert into alert_choice (organization_id, usage_percents, day_cost_micro, error_percent)
    values ($1, '{50,80,100}', 25000000, 15))
insert into alert_state (organization_id, kind, subject, name, level, value, threshold, since, raised_at, raised_level, period_ends)
values ($1, 'usage', $1::uuid::text || '/month', 'month', 80, 81240, 100000, $2::timestamptz - interval '50 minutes', $2, 80,
        $2::timestamptz + interval '5 days'),
       ($1, 'usage_errors', $1::uuid::text, 'errors', 100, 96, 512, $2::timestamptz - interval '12 minutes', $2, 100, null)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written, and what fills the paths of pages."""

    organization_id: UUID
    slug: str
    owner_id: int
    objects: dict[str, Any]


async def write_sample(connection: Any, settings: Settings, now: datetime) -> Sample:
    """All of it, into a migrated and empty database."""
    await connection.execute("select setseed(0.42)")
    plan_id = await _plans(connection)
    organization = await organizations.create(connection, name="Acme Weather", plan_slug="pro", slug="acme-weather")
    await connection.execute(
        "update organization set created_at = $2 where id = $1", organization.id, now - timedelta(days=120)
    )
    people = await _team(connection, organization.id, now)
    made = [await _key(connection, settings, organization.id, *key, people[n % 4]) for n, key in enumerate(KEYS)]
    await connection.execute(
        "update api_key set created_at = $2::timestamptz - interval '80 days', last_used_at = $2::timestamptz - interval '40 s'"
        " where organization_id = $1",
        organization.id,
        now,
    )
    calls = await _catalog(connection)
    await write_logs(
        connection,
        organization.id,
        made[:4],
        [call for call, _ in calls],
        await _traces(connection, plan_id),
        ROWS,
        now,
    )
    await _sleep_at_night(connection)
    await fold_logs(connection, organization.id, now)
    await write_older_rollups(connection, organization.id, made[:4], [call for call, _ in calls], now)
    await write_summaries(connection, organization.id)
    await _name_paths(connection)
    await write_ledger(connection, organization.id, now, entries=300)
    await _audit(connection, organization.id, people[0], made, now)
    await connection.execute(_ALERTS, organization.id, now)
    objects = await _webhooks(connection, settings, organization.id, now)
    objects["job_id"] = await _jobs(connection, organization.id, made[2], now)
    objects |= {
        "key_id": made[0],
        "user_id": people[1],
        "service": "weather",
        "operation": calls[0][0].operation_id,
        "request_id": await connection.fetchval(
            "select id from request_log where status = 429 order by at desc, id limit 1"
        ),
    }
    await connection.execute("analyze")
    return Sample(organization.id, organization.slug, people[0], objects)


async def _plans(connection: Any) -> UUID:
    for plan in SEED_PLANS:
        await plans.create(
            connection, slug=plan.slug, limits=parse_limits(["600/minute", *plan.limits]), name=plan.name, public=plan.public,
            description=plan.description, price_cents=plan.price_cents, sort_order=plan.sort_order,
        )  # fmt: skip
    return await connection.fetchval("select id from plan where slug = 'pro'")


async def _traces(connection: Any, plan_id: UUID) -> list[bytes]:
    rows = await connection.fetch(
        "select id, name, amount, period, scope, shadow from plan_limit where plan_id = $1 order by name", plan_id
    )
    return decisions_of(plan_id, [LimitSnapshot(**row) for row in rows])


async def _team(connection: Any, organization_id: UUID, now: datetime) -> list[int]:
    password, found = await hash_password("four quiet words here"), []
    for number, (email, first, last, role) in enumerate(TEAM):
        user_id = await connection.fetchval(
            "insert into users (username, email, password, first_name, last_name, active, email_verified_at)"
            " values ($1, $1, $2, $3, $4, true, now()) returning id",
            email,
            password,
            first,
            last,
        )
        await connection.execute(
            "insert into membership (organization_id, user_id, role, created_at) values ($1, $2, $3, $4)",
            organization_id,
            user_id,
            role,
            now - timedelta(days=118 - 20 * number),
        )
        found.append(user_id)
    await connection.execute(
        "insert into invitation (organization_id, email, role, token_digest, expires_at, invited_by)"
        " values ($1, 'sam@acme-weather.example', 'viewer', sha256('sam'), $2::timestamptz + interval '6 days', $3)",
        organization_id,
        now,
        found[0],
    )
    return found


async def _key(
    connection: Any, settings: Settings, organization_id: UUID, name: str, environment: str, user_id: int
) -> UUID:
    made = await keys.create(
        connection,
        settings.keys,
        organization_id=organization_id,
        name=name,
        environment=environment,
        created_by=user_id,
    )
    return made.record.id


async def _catalog(connection: Any) -> list[tuple[Call, str]]:
    found = []
    for slug, name, category, description, badges, offered in CATALOG:
        service = await services.create(
            connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"], name=name, category=category,
            description=description, **badges,
        )  # fmt: skip
        for method, pattern, operation, price in offered:
            made = await operations.create(
                connection, service_slug=slug, method=method, path_pattern=pattern, name=operation, price_micro=price,
                asynchronous=slug == "reports",
            )  # fmt: skip
            path = f"/{slug}{pattern}".replace("{city}", "{n}").replace("{id}", "{n}")
            found.append((Call(service.id, made.id, method, path, price), slug))
    return found


async def _jobs(connection: Any, organization_id: UUID, key_id: UUID, now: datetime) -> UUID:
    """A morning's seasons; the id of the one that is at work."""
    season = next(each for each in await operations.list_operations(connection, service_slug="reports"))
    told = (
        ("pending", "oslo", 4, {}),
        ("processing", "lisbon", 95, {"message": "summer, 2 of 4", "progress": 45}),
        ("completed", "nairobi", 900, {"result": b"x" * 48_213, "result_type": "application/pdf"}),
        ("failed", "atlantis", 2_400, {"error": "There is no station within 200 km of this place."}),
        ("completed", "quito", 3_700, {"result": b"x" * 51_870, "result_type": "application/pdf"}),
        ("failed", "lima", 90_000, {"reason": "overdue", "error": ""}),
        ("completed", "osaka", 95_000, {"result_type": "application/pdf", "result_dropped_at": now}),
    )
    made = [
        await write_job(
            connection,
            organization_id,
            season,
            ago=ago,
            status=status,
            target=f"/seasons/{city}",
            key_id=key_id,
            **more,
        )
        for status, city, ago, more in told
    ]
    return made[1]


async def _sleep_at_night(connection: Any) -> None:
    """Take away most requests of the night and many of the evening."""
    await connection.execute(
        "delete from request_log where ('x' || substr(md5(id::text), 1, 4))::bit(16)::int / 65536.0"
        " > 0.30 + 0.30 * (1 - cos((extract(hour from at) + extract(minute from at) / 60.0 - 3) / 12.0 * pi()))"
    )


async def _name_paths(connection: Any) -> None:
    """Cities where numbers stand."""
    await connection.execute(
        "update request_log set path = regexp_replace(path, '[0-9]+$', (array['lisbon', 'oslo', 'nairobi', 'lima', 'osaka',"
        " 'tromso', 'quito'])[1 + substring(path from '[0-9]+$')::int % 7]), query = case when query = '' then '' else 'units=metric' end"
        " where path ~ '^/(weather|air)/.*[0-9]+$'"
    )


async def _audit(connection: Any, organization_id: UUID, owner: int, made: list[UUID], now: datetime) -> None:
    actors = [Actor("user", owner, OWNER, "203.0.113.7"), Actor("user", owner + 2, TEAM[2][0], "203.0.113.19")]
    done = (
        (Verb.ORGANIZATION_CREATE, Thing("organization", str(organization_id), "Acme Weather"), {"name": "Acme Weather"}),
        (Verb.MEMBER_JOIN, Thing("member", str(owner + 2), TEAM[2][0]), {"role": "developer"}),
        *((Verb.KEY_CREATE, Thing("key", str(key), name), {"environment": where})
          for key, (name, where) in zip(made, KEYS, strict=True)),
        (Verb.SUBSCRIPTION_CHANGE, Thing("subscription", str(organization_id), "Acme Weather"), {"plan": "pro"}),
        (Verb.MEMBER_INVITE, Thing("invitation", str(organization_id), "sam@acme-weather.example"), {"role": "viewer"}),
    )  # fmt: skip
    for number, (verb, thing, after) in enumerate(done):
        who = actors[number % 2]
        await connection.execute(
            "insert into audit_entry (created_at, organization_id, actor_kind, actor_id, actor_name, verb, object_type,"
            " object_id, object_name, after, address) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11)",
            now - timedelta(hours=7 * (len(done) - number)),
            organization_id,
            who.kind,
            who.id,
            who.name,
            verb.value,
            thing.type,
            thing.id,
            thing.name,
            json.dumps(after),
            who.address,
        )


async def _webhooks(connection: Any, settings: Settings, organization_id: UUID, now: datetime) -> dict[str, Any]:
    endpoint = uuid5(NAMESPACE, "endpoint")
    await connection.execute(
        "insert into webhook_endpoint (id, organization_id, url, description, secret, created_at)"
        " values ($1, $2, 'https://hooks.acme-weather.example/paid-endpoint', 'Billing and alerts', $3, $4)",
        endpoint,
        organization_id,
        seal(settings.secrets, b"0" * 24, purpose="webhook secret", owner=str(endpoint)),
        now - timedelta(days=60),
    )
    kinds = ("key.created", "credits.granted", "key.rotated", "subscription.changed", "member.joined", "key.revoked")
    for number in range(12):
        at, kind = now - timedelta(hours=5 * number + 1), kinds[number % len(kinds)]
        payload = {"type": kind, "timestamp": at.isoformat(), "data": {"id": str(uuid5(NAMESPACE, f"thing {number}"))}}
        failed = number == 3
        await connection.execute(
            "with e as (insert into webhook_event (id, created_at, organization_id, type, payload)"
            " values ($1, $2, $3, $4, $5::jsonb) returning id)"
            " insert into webhook_delivery (id, created_at, event_id, endpoint_id, organization_id, state, due_at, attempts,"
            "  ended_at, response_status, response_excerpt, duration_ms)"
            " select $6, $2, id, $7, $3, $8, $2, $9, $2, $10, $11, $12 from e",
            uuid5(NAMESPACE, f"event {number}"),
            at,
            organization_id,
            kind,
            json.dumps(payload),
            uuid5(NAMESPACE, f"delivery {number}"),
            endpoint,
            "failed" if failed else "delivered",
            8 if failed else 1,
            503 if failed else 200,
            "upstream is being deployed" if failed else "ok",
            1204 if failed else 37 + number * 3,
        )
    return {"endpoint_id": endpoint, "delivery_id": uuid5(NAMESPACE, "delivery 3")}

"""What an older installation has comes over once, and the older one is not touched."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from domain.faults import Conflict, InvalidValue, NotFound
from domain.key_digest import verify_row
from domain.legacy.importing import IMPORT_LOCK
from domain.passwords import NO_PASSWORD, hash_password
from tests.legacy import digest_of_tables

FIRST = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)


async def fill(old, clients: int) -> None:
    """So many clients with none to three keys on two plans, and logs."""
    await old.plan("basic", "Basic", 100, 1_000)
    await old.plan("gold", "Gold", 5_000, 50_000)
    for number in range(clients):
        client = await old.client(
            f"person{number}@example.com", name=f"Firm {number % 150}", created_at=FIRST.replace(tzinfo=None)
        )
        for place in range(number % 4):
            await old.key(client, "gold" if place == 1 else "basic")
    await old.connection.execute("insert into request_logs select n from generate_series(1, 70) n")
    await old.connection.execute(
        "insert into log_summaries select gen_random_uuid(), current_date from generate_series(1, 9)"
    )


async def test_two_hundred_clients_come_over_once(old, new):
    await fill(old, 200)
    before = await old.digest()
    fresh = await digest_of_tables(new.connection)

    dry = await new.take(old, dry_run=True)
    assert await digest_of_tables(new.connection) == fresh, "a dry run wrote something"

    run = await new.take(old)
    assert run.lines == dry.lines
    assert run.totals == dry.totals
    assert (run.count("clients", "imported"), run.count("api_keys", "imported")) == (200, 300)
    assert (run.count("request_logs", "not imported"), run.count("log_summaries", "not imported")) == (70, 9)
    assert await old.digest() == before, "the older database was changed"
    await check_everything(old, new)

    stored = await digest_of_tables(new.connection)
    again = await new.take(old)
    assert {line.outcome.value for line in again.lines} == {"already there"}
    assert len(again.lines) == 502
    assert await digest_of_tables(new.connection) == stored, "a second run changed something"


async def check_everything(old, new) -> None:
    """Each client is an organization with an owner, its plan and its keys."""
    rows = await new.connection.fetch(
        "select o.id, o.name, o.slug, o.state, o.created_at, u.email, u.password, u.active, u.email_verified_at, p.slug as plan"
        " from organization o join membership m on m.organization_id = o.id and m.role = 'owner' join users u on u.id = m.user_id"
        " join subscription s on s.organization_id = o.id and s.state = 'active' join plan p on p.id = s.plan_id"
    )
    clients = {row["client_id"]: row for row in await old.connection.fetch("select * from clients")}
    assert {row["id"] for row in rows} == set(clients)
    for row in rows:
        client = clients[row["id"]]
        assert (row["name"], row["email"], row["state"]) == (client["name"], client["email"], "active")
        assert row["created_at"] == FIRST
        assert (row["password"], row["active"]) == (NO_PASSWORD, True)
        assert row["email_verified_at"] is not None
    assert sorted(row["slug"] for row in rows if row["name"] == "Firm 7") == ["firm-7", "firm-7-2"]
    per_plan = await old.connection.fetch(
        "select c.client_id, coalesce(max(k.plan_id), 'free') as plan from clients c left join api_keys k using (client_id) group by 1"
    )
    assert {(row["id"], row["plan"]) for row in rows} == {(row["client_id"], row["plan"]) for row in per_plan}
    limits = await new.connection.fetch(
        "select p.slug, p.name, p.public, l.period, l.amount, l.scope from plan p join plan_limit l on l.plan_id = p.id where p.slug <> 'free'"
    )
    assert {tuple(row) for row in limits} == {
        ("basic", "Basic", False, "hour", 100, "key"), ("basic", "Basic", False, "day", 1_000, "key"),
        ("gold", "Gold", False, "hour", 5_000, "key"), ("gold", "Gold", False, "day", 50_000, "key"),
    }  # fmt: skip
    keys = await new.connection.fetch("select id, organization_id, scheme, digest, pepper_version, last4 from api_key")
    assert len(keys) == len(old.keys)
    for key in keys:
        plaintext = old.keys[str(key["id"])].encode()
        assert verify_row(plaintext, key["scheme"], key["digest"], key["pepper_version"], {})
    entries = await new.connection.fetch(
        "select organization_id, actor_name, after from audit_entry where verb = 'organization.import'"
    )
    assert {entry["organization_id"] for entry in entries} == set(clients)
    assert len(entries) == 200
    assert {entry["actor_name"] for entry in entries} == {"the test"}
    assert sum(json.loads(entry["after"])["keys"] for entry in entries) == len(old.keys)


async def test_what_came_later_comes_along_and_what_changed_is_only_said(old, new):
    await old.plan("basic")
    client = await old.client(name="Firm")
    key = await old.key(client)
    await new.take(old)
    later = await old.key(client)
    other = await old.client(name="Second")
    await old.connection.execute("update api_keys set status = 'revoked', expires_at = now() where key_id = $1", key)
    await old.connection.execute("update clients set name = 'Renamed' where client_id = $1", client)
    await old.connection.execute("update plans set daily_limit = 7")
    run = await new.take(old)
    changed = {(line.old_id, line.changed) for line in run.lines if line.outcome.value == "changed since"}
    assert changed == {("basic", ("daily_limit",)), (client, ("name",)), (key, ("expires_at", "status"))}
    assert run.of(later) == ("imported", ())
    assert run.of(other)[0] == "imported"
    assert await new.connection.fetchval("select revoked_at from api_key where id = $1", key) is None
    assert await new.connection.fetchval("select name from organization where id = $1", client) == "Firm"
    entry = await new.connection.fetchrow(
        "select organization_id, object_id from audit_entry where verb = 'key.import'"
    )
    assert tuple(entry) == (UUID(client), later)


async def test_a_client_that_left_over_there_keeps_its_keys_here(old, new):
    await old.plan("basic")
    client = await old.client()
    key = await old.key(client)
    await new.take(old)
    await old.connection.execute("alter table api_keys drop constraint api_keys_client_id_fkey; delete from clients")
    run = await new.take(old)
    assert run.of(key) == ("already there", ())


async def test_plans_are_never_taken_for_one_of_here_unless_the_operator_says_so(old, new):
    await old.plan("free", "Old free", 5, 50)
    await old.plan("Gold Plan!", "Gold", 500, 5_000)
    first, second = await old.client(), await old.client()
    await old.key(first, "free")
    await old.key(second, "Gold Plan!")
    run = await new.take(old, source="first")
    assert run.of("free") == ("imported", ("its slug was taken here",))
    assert run.of("Gold Plan!") == ("imported", ())
    slugs = await new.connection.fetch("select slug, name from plan")
    assert {tuple(row) for row in slugs} == {("free", "free"), ("free-v1", "Old free"), ("gold-plan", "Gold")}
    with pytest.raises(NotFound, match="no plan nothing"):
        await new.take(old, source="first", plans={"free": "nothing"})
    third = await old.client()
    await old.key(third, "free")
    mapped = await new.take(old, source="first", plans={"free": "free"})
    assert mapped.of("free") == ("mapped", ())
    query = "select p.slug from subscription s join plan p on p.id = s.plan_id where s.organization_id = $1"
    assert await new.connection.fetchval(query, UUID(first)) == "free-v1"
    assert await new.connection.fetchval(query, UUID(third)) == "free"


async def test_limits_can_be_for_the_whole_organization(old, new):
    await old.plan("basic")
    await new.take(old, per="organization")
    scopes = "select distinct l.scope from plan_limit l join plan p on p.id = l.plan_id where p.slug = 'basic'"
    assert [row[0] for row in await new.connection.fetch(scopes)] == ["organization"]
    with pytest.raises(InvalidValue):
        await new.take(old, per="person")


async def test_who_is_here_already_owns_it_and_an_unproven_sign_up_does_not(old, new):
    await old.plan("basic")
    stored = await hash_password("chosen by a stranger")
    for email, active, proven in (("active", True, True), ("disabled", False, True), ("unproven", False, False)):
        await new.connection.execute(
            "insert into users (username, email, password, active, email_verified_at)"
            " values ($1, $1, $2, $3, case when $4 then now() end)", f"{email}@example.com", stored, active, proven,
        )  # fmt: skip
    await new.connection.execute(
        "insert into user_link (user_id, purpose, token_digest, email, expires_at) select id, 'verify_email', sha256('x'), email,"
        " now() + interval '1 day' from users where email like 'unproven%'"
    )
    made = {name: await old.client(f"{name.title()}@Example.com") for name in ("active", "disabled", "unproven")}
    run = await new.take(old)
    notes = {name: [note for note in run.of(client)[1] if "user" in note] for name, client in made.items()}
    assert notes == {
        "active": ["a user with this e-mail was here: they own it"],
        "disabled": ["the user with this e-mail is disabled here"],
        "unproven": [],
    }
    rows = await new.connection.fetch(
        "select split_part(u.email, '@', 1) as who, u.password, u.active, m.organization_id from users u join membership m on m.user_id = u.id"
    )
    assert {(row["who"], row["password"] == stored, row["active"], str(row["organization_id"])) for row in rows} == {
        ("active", True, True, made["active"]),
        ("disabled", True, False, made["disabled"]),
        ("unproven", False, True, made["unproven"]),
    }
    assert await new.connection.fetchval("select count(*) from user_link where used_at is null") == 0


async def test_of_two_imports_at_once_the_second_is_refused(old, new):
    holder = await asyncpg.connect(new.url)
    try:
        await holder.execute("select pg_advisory_lock($1)", IMPORT_LOCK)
        with pytest.raises(Conflict, match="Another import"):
            await new.take(old)
    finally:
        await holder.close()
    await new.take(old)
    left = "select count(*) from pg_locks join pg_database d on d.oid = database where locktype = 'advisory' and datname = "
    assert await new.connection.fetchval(left + "current_database()") == 0


async def test_the_import_sees_one_moment_of_the_older_database(old, new, monkeypatch):
    await old.plan("basic")
    client = await old.client()
    seen = await old.key(client)
    from domain.legacy import importing

    decide = importing.decide

    async def decide_later(*arguments):
        # Between reading rows and counting logs, somebody goes on working over there.
        await old.connection.execute("insert into request_logs values (1)")
        return await decide(*arguments)

    monkeypatch.setattr(importing, "decide", decide_later)
    run = await new.take(old)
    assert run.of(seen)[0] == "imported"
    assert run.count("request_logs", "not imported") == 0
    assert await old.connection.fetchval("select count(*) from request_logs") == 1


async def test_a_later_moment_of_expiry_stays_to_the_microsecond(old, new):
    await old.plan("basic")
    ends = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    key = await old.key(await old.client(), expires_at=ends.replace(tzinfo=None))
    run = await new.take(old)
    assert run.of(key) == ("imported", ("a time without a zone was taken as UTC",))
    stored = await new.connection.fetchval("select expires_at from api_key where id = $1", UUID(key))
    assert stored - ends == timedelta(0)

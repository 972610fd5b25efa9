"""What is dirty is skipped or mended, and said; what is clean beside it comes over all the same."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from tests.legacy import Old


async def test_each_dirty_client_is_mended_or_skipped_and_said(lax: Old, new):
    await lax.plan("basic")
    made, wanted = {}, {}
    cases = {
        "none": ({"email": None}, ("it has no e-mail: nobody owns it",)),
        "blank": ({"email": "   "}, ("it has no e-mail: nobody owns it",)),
        "invalid": ({"email": "not an address"}, ("its e-mail is none: nobody owns it",)),
        "kelvin": ({"email": "\u212aate@example.com"}, ("its e-mail is none: nobody owns it",)),
        "twin": ({"email": "twin@example.com"}, ("several clients have this e-mail: one user owns all",)),
        "capital twin": ({"email": " Twin@Example.COM"}, ("several clients have this e-mail: one user owns all",)),
        "suspended": ({"status": "Suspended"}, ("it is suspended here too",)),
        "odd": ({"status": "on holiday"}, ("its status is unknown: it is suspended here",)),
        "no status": ({"status": None}, ("its status is unknown: it is suspended here",)),
        "empty name": ({"name": ""}, ("its name is empty: one was made",)),
        "no name": ({"name": None}, ("its name is empty: one was made",)),
        "long": ({"name": "x" * 300}, ("its name was cut to 120 characters",)),
        "control": ({"name": "A\x07\u202eB\nC\x1b[31m"}, ("control characters were taken out of its name",)),
        "no date": ({"created_at": None}, ("when it was created is unknown: now",)),
        "bad date": ({"created_at": "yesterday"}, ("when it was created is unknown: now",)),
        "far date": ({"created_at": "9999-12-31 23:59:59-12"}, ("when it was created is unknown: now",)),
        "zone": ({"created_at": "2024-01-01 02:00:00+02"}, ()),
        "no zone": ({"created_at": "2024-01-01 00:00:00"}, ("a time without a zone was taken as UTC",)),
    }  # fmt: skip
    for name, (values, notes) in cases.items():
        made[name] = await lax.client(**{"name": f"Firm {name}", "created_at": "2024-01-01 00:00:00Z", **values})
        await lax.key(made[name])
        wanted[name] = ("imported", notes)
    for status in ("closed", "deleted"):
        made[status] = await lax.client(status=status)
        wanted[status] = ("skipped", ("it is closed or deleted",))
    run = await new.take(lax)
    assert {name: run.of(client) for name, client in made.items()} == wanted
    rows = {row["id"]: row for row in await new.connection.fetch("select * from organization")}
    row = {name: rows.get(UUID(client)) for name, client in made.items()}
    assert row["control"]["name"] == "A B C [31m"
    assert row["long"]["name"] == "x" * 120
    assert row["no name"]["name"] == f"Imported client {made['no name'][:8]}"
    assert row["no zone"]["created_at"] == row["zone"]["created_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert {name for name in cases if row[name]["state"] == "suspended"} == {"suspended", "odd", "no status"}
    assert row["closed"] is row["deleted"] is None
    owners = await new.connection.fetch(
        "select m.organization_id, u.email from membership m join users u on u.id = m.user_id"
    )
    assert {o["organization_id"] for o in owners if o["email"] == "twin@example.com"} == {
        UUID(made["twin"]),
        UUID(made["capital twin"]),
    }
    assert len(owners) == len(cases) - 4
    assert await new.connection.fetchval("select count(*) from api_key") == len(cases)


async def test_each_dirty_plan_is_skipped_or_mended_and_said(lax: Old, new):
    cases = {
        "zero": ((0, 10), ("skipped", ("a limit is zero, negative or no number",))),
        "negative": ((10, -1), ("skipped", ("a limit is zero, negative or no number",))),
        "words": (("many", 10), ("skipped", ("a limit is zero, negative or no number",))),
        "huge": ((10**30, 10), ("skipped", ("a limit is zero, negative or no number",))),
        "none": ((None, None), ("skipped", ("it has no limit at all",))),
        "half": ((None, 10), ("imported", ("one of its limits is null: there is none",))),
        "decimal": (("12.00", " 13 "), ("imported", ())),
        "x" * 201: ((1, 1), ("skipped", ("its id is missing or too long",))),
    }  # fmt: skip
    for plan_id, (limits, _) in cases.items():
        await lax.plan(plan_id, f"Plan {plan_id[:9]}", *limits)
    await lax.plan("twice")
    await lax.plan("twice", "Other")
    await lax.plan(None)
    await lax.plan("long", "n" * 500)
    await lax.plan("\u00fc\u00f1\u4e2d", "Plan \u4e2d")
    await lax.plan("\u4e2d", "")
    run = await new.take(lax)
    assert {plan_id: run.of(plan_id[:40] if len(plan_id) > 200 else plan_id) for plan_id in cases} == {
        plan_id: wanted for plan_id, (_, wanted) in cases.items()
    }
    assert run.of("") == ("skipped", ("its id is missing or too long",))
    twice = [line.notes for line in run.lines if line.old_id == "twice"]
    assert twice == [("its id stands in several rows",)] * 2
    assert run.of("long") == ("imported", ("its name was cut to 120 characters",))
    assert run.of("\u4e2d") == ("imported", ("its name is empty: one was made",))
    limits = await new.connection.fetch(
        "select p.slug, l.period, l.amount from plan_limit l join plan p on p.id = l.plan_id where p.slug in ('half', 'decimal')"
    )
    assert {tuple(row) for row in limits} == {("half", "day", 10), ("decimal", "hour", 12), ("decimal", "day", 13)}


async def test_each_dirty_key_is_skipped_or_mended_and_said(lax: Old, new):
    await lax.plan("basic")
    await lax.plan("broken", hourly=0)
    client, other, gone = await lax.client(), await lax.client(), await lax.client(status="deleted")
    present = await new.connection.fetchval(
        "with o as (insert into organization (slug, name) values ('there', 'There') returning id)"
        " insert into api_key (organization_id, name, scheme, prefix, last4, digest)"
        " select id, 'k', 'sha256', '', '', sha256('sk_known_here') from o returning id"
    )
    cases = {
        "clean": (client, {}, ("imported", ())),
        "upper": (client, {"key_hash": sha256(b"upper").hexdigest().upper()}, ("imported", ())),
        "no hash": (client, {"key_hash": None}, ("skipped", ("its hash is not 64 hexadecimal digits",))),
        "short": (client, {"key_hash": "ab" * 31}, ("skipped", ("its hash is not 64 hexadecimal digits",))),
        "no hex": (client, {"key_hash": "zz" * 32}, ("skipped", ("its hash is not 64 hexadecimal digits",))),
        "spaced": (client, {"key_hash": "ab " * 31 + "ab"}, ("skipped", ("its hash is not 64 hexadecimal digits",))),
        "better": (client, {"text": "sk_the_same"}, ("imported", ())),
        "worse": (client, {"text": "sk_the_same", "status": "revoked"},
                  ("skipped", ("another key of the client has the same hash",))),
        "mine": (client, {"text": "sk_whose_is_it"}, ("skipped", ("keys of several clients have the same hash",))),
        "theirs": (other, {"text": "sk_whose_is_it"}, ("skipped", ("keys of several clients have the same hash",))),
        "known": (client, {"text": "sk_known_here"}, ("skipped", ("a key with this hash is here already",))),
        "taken": (client, {"key_id": str(present)}, ("skipped", ("its id is taken here by something else",))),
        "ours": (client, {"key_prefix": "pe_live_abc"},
                 ("skipped", ("it begins like the keys made here and would not be recognised",))),
        "expired": (client, {"expires_at": "2020-01-01 00:00:00+00"}, ("imported", ("it has expired",))),
        "naive": (client, {"expires_at": "2999-01-01 00:00:00"}, ("imported", ("a time without a zone was taken as UTC",))),
        "ever": (client, {"expires_at": "infinity"}, ("imported", ())),
        "soon": (client, {"expires_at": "soon"}, ("skipped", ("when it expires cannot be read",))),
        "revoked": (client, {"status": "REVOKED"}, ("imported", ("it was revoked",))),
        "ended": (client, {"status": "expired"}, ("imported", ("it was revoked",))),
        "odd": (client, {"status": "paused"}, ("skipped", ("its status is unknown",))),
        "no status": (client, {"status": None}, ("skipped", ("its status is unknown",))),
        "orphan": (None, {}, ("skipped", ("its client is missing",))),
        "lost": ("ffffffff-0000-0000-0000-000000000000", {}, ("skipped", ("its client is missing",))),
        "first": ("00000000-0000-0000-0000-000000000000", {}, ("skipped", ("its client is missing",))),
        "of gone": (gone, {}, ("skipped", ("its client was skipped",))),
        "no plan": (client, {"plan_id": None}, ("skipped", ("its plan is missing",))),
        "other plan": (client, {"plan_id": "nowhere"}, ("skipped", ("its plan is missing",))),
        "broken plan": (client, {"plan_id": "broken"}, ("skipped", ("its plan was skipped",))),
        "prefix": (client, {"key_prefix": "sk_" + "a" * 40}, ("imported", ("its prefix was cut to 20 characters",))),
        "itself": (client, {"text": "sk_all_of_it", "key_prefix": "sk_all_of_it"},
                   ("imported", ("its prefix is the key itself and was left out",))),
        "control": (client, {"key_prefix": "sk\x1b\u202e_9"}, ("imported", ())),
    }  # fmt: skip
    made = {name: await lax.key(owner, **values) for name, (owner, values, _) in cases.items()}
    await lax.key(client, key_id="")
    for _ in range(2):
        await lax.key(client, key_id="twice")
    run = await new.take(lax)
    assert {name: run.of(key) for name, key in made.items()} == {name: wanted for name, (_, _, wanted) in cases.items()}
    assert run.of("") == ("skipped", ("its id is missing or too long",))
    assert [line.notes for line in run.lines if line.old_id == "twice"] == [("its id stands in several rows",)] * 2
    rows = {row["id"]: row for row in await new.connection.fetch("select * from api_key where id <> $1", present)}
    assert set(rows) == {UUID(made[name]) for name, (_, _, (outcome, _)) in cases.items() if outcome == "imported"}
    row = {name: rows.get(UUID(key)) for name, key in made.items()}
    assert row["itself"]["prefix"] == ""
    assert row["prefix"]["prefix"] == "sk_" + "a" * 17
    assert row["control"]["prefix"] == "sk_9"
    assert row["ever"]["expires_at"] is None
    assert {name for name in cases if row[name] and row[name]["revoked_at"]} == {"revoked", "ended"}
    assert run.count("api_keys", "skipped") + run.count("api_keys", "imported") == len(cases) + 3

    # Put right over there, it comes with the next run.
    await lax.connection.execute("update api_keys set status = 'active' where key_id = $1", made["odd"])
    assert (await new.take(lax)).of(made["odd"]) == ("imported", ())


async def test_the_highest_plan_of_living_keys_is_for_the_whole_organization(lax: Old, new):
    await lax.plan("small", hourly=5, daily=50)
    await lax.plan("great", hourly=5, daily=500)
    await lax.plan("open", hourly=5, daily=None)
    both, past, none = await lax.client(), await lax.client(), await lax.client()
    small = await lax.key(both, "small")
    await lax.key(both, "great")
    await lax.key(both, "open", status="revoked")
    await lax.key(past, "open", expires_at="2020-01-01 00:00:00Z")
    run = await new.take(lax)
    assert run.of(both)[1][0] == "its keys had several plans: the highest is for all"
    assert run.of(small) == ("imported", ("it had another plan than its organization has now",))
    assert run.of(none)[1][:2] == ("it has no keys", "no key gives it a plan: it begins like a new customer")
    rows = await new.connection.fetch(
        "select s.organization_id::text, p.slug from subscription s join plan p on p.id = s.plan_id"
    )
    assert {tuple(row) for row in rows} == {(both, "great"), (past, "open"), (none, "free")}


async def test_no_key_gets_less_in_an_hour_because_another_had_more_in_a_day(lax: Old, new):
    await lax.plan("steady", hourly=100, daily=100_000)
    await lax.plan("bursts", hourly=5_000, daily=5_000)
    await lax.plan("open", hourly=None, daily=10)
    both, free, alone = await lax.client(), await lax.client(), await lax.client()
    for client, plan in ((both, "steady"), (both, "bursts"), (free, "steady"), (free, "open"), (alone, "steady")):
        await lax.key(client, plan)
    dry = await new.take(lax, dry_run=True)
    run = await new.take(lax)
    assert run.lines == dry.lines
    assert run.of(both)[1][:2] == (
        "its keys had several plans: the highest is for all",
        "a limit of its plan is raised to what another plan of its keys allowed",
    )
    rows = await new.connection.fetch("select organization_id::text, limit_name, amount, until from limit_override")
    assert {tuple(row) for row in rows} == {(both, "hour", 5_000, None), (free, "hour", 10**15, None)}
    stored = await new.connection.fetchval("select count(*) from limit_override")
    await new.take(lax)
    assert await new.connection.fetchval("select count(*) from limit_override") == stored


async def test_without_a_plan_to_begin_on_a_client_without_keys_is_skipped(lax: Old, new):
    await new.connection.execute("update plan set active = false where slug = 'free'")
    client = await lax.client()
    run = await new.take(lax)
    assert run.of(client) == ("skipped", ("no key gives it a plan, and the plan of new customers is not here",))


async def test_a_plan_that_is_gone_over_there_can_be_replaced(lax: Old, new):
    key = await lax.key(await lax.client(), "gone")
    assert (await new.take(lax, plans={"gone": "free"})).of(key) == ("imported", ())


async def test_ids_that_are_no_uuid_come_over_and_are_known_again(lax: Old, new):
    await lax.plan("basic")
    client = await lax.client(client_id="17")
    key = await lax.key(client, key_id="k-9")
    assert (await new.take(lax)).of(key)[0] == "imported"
    again = await new.take(lax)
    assert (again.of(client), again.of(key)) == (("already there", ()), ("already there", ()))
    twice = await new.take(lax, source="another")
    assert twice.of(key) == ("skipped", ("a key with this hash is here already",))


async def test_one_uuid_in_capitals_and_in_small_letters_is_two_clients(lax: Old, new):
    await lax.plan("basic")
    small = await lax.client(name="Small")
    great = await lax.client(client_id=small.upper(), name="Great")
    of_each = [await lax.key(small), await lax.key(great)]
    run = await new.take(lax)
    assert [run.of(key) for key in of_each] == [("imported", ())] * 2
    rows = await new.connection.fetch(
        "select o.name, k.id from api_key k join organization o on o.id = k.organization_id"
    )
    assert {(row["name"], str(row["id"])) for row in rows} == {("Small", of_each[0]), ("Great", of_each[1])}


async def test_two_clients_with_one_id_are_both_left_out_with_their_keys(lax: Old, new):
    await lax.plan("basic")
    client = await lax.client()
    await lax.client(client_id=client)
    key = await lax.key(client)
    run = await new.take(lax)
    assert [line.notes for line in run.lines if line.old_id == client] == [("its id stands in several rows",)] * 2
    assert run.of(key) == ("skipped", ("its client was skipped",))
    assert await new.connection.fetchval("select count(*) from organization") == 0

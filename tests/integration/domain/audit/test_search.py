"""Operators find every entry, of any organization and of none, in pages without gap or repeat."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain import audit_search, looking_back, organizations, plans
from domain.audit import Actor, Thing, Verb, record
from domain.audit_chain.sealing import seal
from domain.audit_search import AuditSearch, search_audit
from domain.cursors import parse_cursor
from domain.faults import InvalidValue
from tests.conftest import copy_template, in_own_thread

ANN = Actor("user", 7, "ann@example.com", "203.0.113.7", "request-1")
OPERATOR = Actor("operator", 1, "olga@example.com", "198.51.100.1", "request-2")
PROGRAM = Actor(name="cli:root")


async def live(connection):
    """Two organizations, and forty entries of them, of nobody, and of programs."""
    await plans.create(connection, slug="starter", limits=[])
    acme = await organizations.create(connection, name="Acme", plan_slug="starter")
    other = await organizations.create(connection, name="Other", plan_slug="starter")
    for number in range(10):
        key = Thing("api_key", str(number), f"key {number}")
        change = {"before": {"name": "old"}, "after": {"name": "new", "n": number}}
        await record(connection, ANN, Verb.KEY_CREATE, key, organization_id=acme.id, after={"n": number})
        await record(connection, OPERATOR, Verb.KEY_CHANGE, key, organization_id=other.id, **change)
        await record(connection, ANN, Verb.ACCOUNT_SIGN_IN, Thing("user", "7", ANN.name))
        await record(connection, PROGRAM, Verb.CONFIG_APPLY, Thing("plan", "starter", "starter"), reason="as planned")
    await seal(connection, most=30)
    return {"acme": acme.id, "other": other.id}


@pytest.fixture(scope="module")
def lived(server_urls, worker_number):
    async def make():
        url = await copy_template(server_urls[0], f"searched_{worker_number}")
        connection = await asyncpg.connect(url)
        found = await live(connection)
        await connection.close()
        return url, found

    return in_own_thread(make)


@pytest.fixture
async def connection(lived):
    made = await asyncpg.connect(lived[0])
    yield made
    await made.close()


def bare(event):
    return (event.organization, event.actor_name, event.verb, event.object_id)


FILTERS = {
    "all": ({}, lambda event: True),
    "organization": ({"organization_id": "acme"}, lambda event: event.organization == "acme"),
    "none": ({"unowned": True}, lambda event: event.organization is None),
    "actor": ({"actor_id": 7}, lambda event: event.actor_name == "ann@example.com"),
    "name": ({"actor_name": "cli:root"}, lambda event: event.actor_name == "cli:root"),
    "verb": ({"verb": "key.change"}, lambda event: event.verb == "key.change"),
    "group": ({"verb": "key"}, lambda event: event.verb.startswith("key.")),
    "object": ({"object_type": "api_key", "object_id": "3"}, lambda event: event.object_id == "3"),
    "type": ({"object_type": "plan"}, lambda event: event.object_type == "plan"),
    "request": ({"request_id": "request-2"}, lambda event: event.request_id == "request-2"),
    "no request": ({"request_id": ""}, lambda event: False),
    "organization and verb": (
        {"organization_id": "acme", "verb": "key.create"},
        lambda event: (event.organization, event.verb) == ("acme", "key.create"),
    ),
    "nothing": ({"organization_id": "acme", "verb": "key.change"}, lambda event: False),
    "none and verb": (
        {"unowned": True, "verb": "account.sign_in"},
        lambda event: (event.organization, event.verb) == (None, "account.sign_in"),
    ),
    "none and another verb": ({"unowned": True, "verb": "key.create"}, lambda event: False),
    "type and actor": (
        {"object_type": "user", "actor_id": 7},
        lambda event: (event.object_type, event.actor_name) == ("user", "ann@example.com"),
    ),
    "all at once": (
        {
            "organization_id": "other", "actor_id": 1, "actor_name": "olga@example.com", "verb": "key.change",
            "object_type": "api_key", "object_id": "4", "request_id": "request-2",
        },
        lambda event: (event.organization, event.object_id) == ("other", "4"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("step", [3, 10_000])
async def test_filters_in_pages(connection, lived, name, step):
    fields, holds = FILTERS[name]
    fields = {key: lived[1][value] if key == "organization_id" else value for key, value in fields.items()}
    wanted = [event for event in (await search_audit(connection, AuditSearch(), limit=100)).events if holds(event)]
    found, place, pages = [], None, 0
    while place is not None or not pages:
        page = await search_audit(connection, AuditSearch(**fields), after=place, limit=3, seconds=0, step=step)
        assert len(page.events) <= 3
        found, pages = found + page.events, pages + 1
        place = parse_cursor(str(page.following)) if page.following else None
    assert found == wanted
    assert [event.created_at for event in found] == sorted((event.created_at for event in found), reverse=True)


async def test_an_entry_says_what_was_done_by_whom_and_where_it_stands_in_the_chain(connection):
    found = await search_audit(connection, AuditSearch(verb="key.change", object_type="api_key", object_id="4"))
    (event,) = found.events
    assert event.sentence == "olga@example.com changed the API key key 4"
    assert event.changes == [("name", "old", "new"), ("n", None, 4)]
    assert (event.organization, event.address, event.position) == ("other", "198.51.100.1", 18)
    (last,) = (await search_audit(connection, AuditSearch(), limit=1)).events
    assert (last.sentence, last.position) == ("cli:root applied a file that changed starter", None)
    assert (last.organization, last.reason, last.before) == (None, "as planned", None)
    json.dumps(dataclasses.asdict(event), default=str)


async def test_time_restricts(connection):
    everything = (await search_audit(connection, AuditSearch(), limit=100)).events
    begin, end = everything[30].created_at, everything[5].created_at
    found = await search_audit(connection, AuditSearch(since=begin, until=end), limit=100)
    assert found.events == [event for event in everything if begin <= event.created_at < end]
    none = await search_audit(connection, AuditSearch(since=datetime.now(UTC) + timedelta(days=1)))
    assert (none.events, none.following, none.looked_back_to) == ([], None, None)


async def test_a_search_that_runs_out_of_time_says_how_far_it_came(connection):
    found = await search_audit(connection, AuditSearch(object_type="nothing"), limit=3, seconds=0, step=3)
    assert found.events == []
    everything = (await search_audit(connection, AuditSearch(), limit=100)).events
    assert found.looked_back_to == everything[2].created_at
    assert found.following.id == everything[2].id


@pytest.mark.parametrize(
    ("fields", "index"),
    [
        ({}, "created_at"),
        ({"organization_id": "acme"}, "organization_id"),
        ({"organization_id": "acme", "verb": "key.create"}, "organization_verb"),
        ({"unowned": True}, "unowned"),
        ({"actor_id": 7, "organization_id": "acme"}, "actor_id"),
        ({"actor_name": "cli:root"}, "actor_name"),
        ({"verb": "key.create", "unowned": True}, "verb"),
        ({"verb": "key"}, "noun"),
        ({"object_type": "api_key", "object_id": "3", "verb": "key"}, "object"),
        ({"request_id": "request-1", "actor_id": 7}, "request_id"),
    ],
)
async def test_each_search_goes_along_an_index_in_its_order(connection, lived, fields, index):
    fields = {key: lived[1][value] if key == "organization_id" else value for key, value in fields.items()}
    after = (await search_audit(connection, AuditSearch(), limit=1)).following
    for place in (None, after):
        statement, values = audit_search._statement(AuditSearch(**fields), place, 500, 51)
        async with connection.transaction():
            await connection.execute(looking_back.PLANNING)
            plan = "\n".join(row[0] for row in await connection.fetch(f"explain {statement}", *values))
        assert f"using audit_entry_{index} on audit_entry" in plan, plan
        assert not re.search("Sort|Seq Scan", plan), plan


@pytest.mark.parametrize(
    "fields",
    [
        {"object_id": "3"}, {"actor_id": 2**31}, {"actor_id": -1}, {"verb": "key\0"}, {"unowned": True, "organization_id": 1},
    ],
)  # fmt: skip
async def test_what_can_find_nothing_is_refused(connection, fields):
    with pytest.raises(InvalidValue):
        await search_audit(connection, AuditSearch(**fields))

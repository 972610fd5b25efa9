"""Every unsafe request of the back office: it says in the audit who did it, and of one that fails at its end nothing stays."""

import pytest

from domain.audit import Verb
from tests.integration.admin.actions.scenes import Scene
from tests.integration.admin.walk.steps import NO_ENTRY, WALK, Stage
from tests.integration.admin.walk.unsafe_routes import unchanging, unsafe_routes
from tests.walking import contents, failing

AS_USER = {"POST /sign-in", "POST /sign-in/factor"}
"""Who signs in is noted as the user that they are: the session, and so the operator, begins with it."""
_ENTRIES = "select * from audit_entry where actor_id = $1 and id <> all($2::uuid[])"


@pytest.fixture
async def stage(office, superuser, connection, customer) -> Stage:
    """A superuser and a customer of the test's own."""
    return Stage(Scene(office, connection, customer), superuser)


def test_the_walk_goes_through_every_unsafe_route_that_the_application_has(office):
    routes = unsafe_routes(office.app)
    assert routes - WALK.keys() - NO_ENTRY.keys() == set(), "add these to the walk"
    assert WALK.keys() | NO_ENTRY.keys() == routes, "these are gone"
    assert NO_ENTRY.keys() == unchanging(), "only what cannot change anything may write nothing"
    assert WALK.keys() & NO_ENTRY.keys() == set()


@pytest.mark.parametrize("name", WALK)
async def test_it_is_written_down_by_whom_what_to_which_thing_from_where_by_which_request(stage, connection, name):
    send = await WALK[name](stage)
    known = [row["id"] for row in await connection.fetch(_ENTRIES, stage.operator.user_id, [])]
    answer = await send()
    assert answer.status_code < 400, answer.text
    entries = await connection.fetch(_ENTRIES, stage.operator.user_id, known)
    assert entries
    for entry in entries:
        assert entry["actor_kind"] == ("user" if name in AS_USER else "operator")
        assert entry["actor_name"] == stage.operator.email
        assert entry["verb"] in list(Verb)
        assert entry["object_type"]
        assert entry["object_id"]
        assert entry["address"] == "127.0.0.1"
        assert entry["request_id"] == answer.headers["x-request-id"]
    mine = "select count(*) from audit_entry where request_id = $1"
    assert await connection.fetchval(mine, answer.headers["x-request-id"]) == len(entries), "nothing in another name"


@pytest.mark.parametrize("name", WALK)
async def test_nothing_of_it_stays_when_its_transaction_fails_at_the_end(stage, connection, name):
    send = await WALK[name](stage)
    before = await contents(connection)
    async with failing(connection):
        answer = await send()
    assert answer.status_code == 500, answer.text
    after = await contents(connection)
    assert {table for table in before if after[table] != before[table]} == set()

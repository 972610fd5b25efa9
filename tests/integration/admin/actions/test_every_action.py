"""What holds for every action: looking changes nothing, doing is written down with who and why, twice is once."""

import pytest

from admin.actions.table import BY_SLUG
from tests.integration.admin.actions.scenes import SCENES, Scene, values_of

REASON = "as agreed on the phone"


def test_every_action_has_its_scene():
    assert SCENES.keys() == BY_SLUG.keys()


@pytest.mark.parametrize("slug", SCENES)
async def test_looking_changes_nothing_doing_is_written_down_and_twice_is_once(
    office, superuser, connection, customer, slug
):
    values = await values_of(Scene(office, connection, customer), slug)
    count = "select count(*), count(*) filter (where actor_name = $1 and reason = $2) from audit_entry"
    before, _ = await connection.fetchrow(count, superuser.email, REASON)
    form = await superuser.browser.look(slug, **values)
    assert (await connection.fetchrow(count, superuser.email, REASON))[0] == before
    done = await superuser.browser.post(f"/actions/{slug}", {**form, "reason": REASON})
    assert done.status_code == 200, done.text
    assert "It stands in the audit." in done.text
    after, ours = await connection.fetchrow(count, superuser.email, REASON)
    assert ours >= 1
    assert after - before == ours, "nothing is written in another name, or without the reason"
    again = await superuser.browser.post(f"/actions/{slug}", {**form, "reason": REASON})
    assert again.status_code in (404, 409, 303), again.text
    assert (await connection.fetchrow(count, superuser.email, REASON))[0] == after


@pytest.mark.parametrize("slug", SCENES)
async def test_without_a_reason_nothing_is_done(office, superuser, connection, customer, slug):
    values = await values_of(Scene(office, connection, customer), slug)
    form = await superuser.browser.look(slug, **values)
    before = await connection.fetchval("select count(*) from audit_entry")
    answer = await superuser.browser.post(f"/actions/{slug}", form)
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert await connection.fetchval("select count(*) from audit_entry") == before

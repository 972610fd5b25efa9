"""A change that nobody writes down is undone, whichever page made it: the walk's rule, kept by the frame itself."""

import pytest

from admin.web.admission import Audience
from admin.web.page import PageRoute, see_other
from portal.web.dispatch import by_path

PATH = "/forgetful"


async def forgetful(visit):
    """A handler that changes something and says so to nobody."""
    await visit.connection.execute("update users set first_name = 'Changed' where id = $1", visit.operator.id)
    return see_other("/")


@pytest.mark.parametrize("audience", [Audience.SIGNED_IN, Audience.OPERATOR])
async def test_what_is_changed_without_an_entry_is_undone(office, superuser, audience):
    routes = office.app.router.routes
    made = by_path([PageRoute(PATH, forgetful, "POST", audience=audience)])
    routes[:0] = made
    try:
        answer = await superuser.browser.post(PATH)
    finally:
        routes.remove(made[0])
    assert answer.status_code == 500
    named = "select first_name from users where id = $1"
    assert await office.pool.fetchval(named, superuser.user_id) == ""

"""Show 5 of the portal in its short form (case A6); `python -m tests.drills.sign_in_storm` runs the long one."""

from pathlib import Path

import pytest

from tests.drills.sign_in_storm import both, storm
from tests.portals import portal_settings, running_portal


@pytest.mark.parametrize("which", [0, 1], ids=["one address", "as many addresses"])
async def test_a6_no_storm_of_wrong_passwords_gets_in_or_keeps_the_owner_out(
    database_url: str, redis_url: str, tmp_path: Path, which: int
) -> None:
    case, addresses = both(40)[which]
    async with running_portal(portal_settings(database_url, redis_url, tmp_path)) as portal:
        story = await storm(portal, case, addresses, 40)
    assert story.broken == [], story.lines()
    assert story.attacker[429] >= 30

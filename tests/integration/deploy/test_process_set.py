"""The process set of docker-compose.yml, started by hand; `python -m tests.drills.compose_by_hand` prints what it sees."""

import asyncio
import shutil

import pytest

from tests.backups import ordinary_database
from tests.drills.compose_by_hand import drill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_the_process_set_serves_a_paid_call_and_stops_in_time(server_urls, worker_number, tmp_path):
    async with ordinary_database(server_urls[0], f"compose_{worker_number}") as url:
        outcome = await asyncio.to_thread(drill, url, tmp_path, shutil.which("docker-compose"))
    assert outcome.broken == []
    assert ("doctor", "nothing fails") in outcome.lines

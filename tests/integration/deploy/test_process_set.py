"""The process set of docker-compose.yml, started by hand: its commands, its environment, its Valkey, its health checks."""

import re
import time

import pytest

from tests.backups import ordinary_database
from tests.process_set import PROCESSES, ProcessSet, get
from tests.wire.upstream import RecordingUpstream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def containers(server_urls, worker_number, tmp_path):
    async with ordinary_database(server_urls[0], f"compose_{worker_number}") as url:
        made = ProcessSet(tmp_path, url)
        yield made
        made.end()


async def test_the_process_set_serves_and_stops_in_time(containers):
    assert [name for name in containers.in_order() if name not in PROCESSES] == ["postgres", "valkey", "migrate"]
    containers.start("valkey")
    containers.until_healthy("valkey")
    containers.command(*containers.services["migrate"]["command"], name="migrate")
    for name in PROCESSES:
        containers.start(name)
    for name in PROCESSES:
        containers.until_healthy(name)

    upstream = RecordingUpstream().start()
    try:
        containers.command("plans", "create", "starter", "--limit", "1000/hour")
        containers.command("organizations", "create", "--name", "Acme", "--plan", "starter")
        containers.command(
            "services", "create", "paid", "--prefix", "/paid", "--upstream", f"http://127.0.0.1:{upstream.port}"
        )
        made = containers.command("keys", "create", "--organization", "acme", "--name", "one", "--json")
        key = re.search(r"pe_live_\w+", made)[0]
        root = f"http://127.0.0.1:{containers.ports['gateway']}"
        time.sleep(1)
        assert get(f"{root}/paid/x", **{"X-API-Key": key})[0] == 200
        assert get(f"{root}/ready")[0] == 200
        assert b"paid_endpoint_workers 2.0" in get(f"http://127.0.0.1:{containers.ports['metrics']}/metrics")[1]
        assert get(f"http://127.0.0.1:{containers.ports['portal']}/sign-in", Host="app.example.com")[0] == 200
        assert containers.doctor() == []
    finally:
        upstream.stop()
    # In time, and by themselves.
    assert {name: containers.stop(name) for name in reversed(PROCESSES)} == dict.fromkeys(PROCESSES, 0)
    assert containers.stop("valkey") == 0

"""`paid-endpoint up`, as a person runs it: from nothing to a call that works, and back to nothing."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli.supervisor.ports import is_free
from tests.e2e.up import STOP_SECONDS, Up, made_up
from tests.integration.cli.processes import ROOT, processes_in, wait_until

NAMES = [
    "GATEWAY_URL",
    "PORTAL_URL",
    "ADMIN_URL",
    "USER_EMAIL",
    "USER_PASSWORD",
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "DATABASE_URL",
    "REDIS_URL",
    "API_KEY",
    "FREE_API_KEY",
    "BENCH_API_KEY",
]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def up(tmp_path: Path, worker_number: int) -> Iterator[Up]:
    with made_up(tmp_path, worker_number) as made:
        yield made


def test_from_nothing_to_a_call_and_back_and_again(up):
    up.start()
    demo = up.demo()
    assert list(demo) == NAMES
    assert {stat.S_IMODE((up.directory / name).stat().st_mode) for name in ("demo.env", "instance.env")} == {0o600}
    assert stat.S_IMODE(up.directory.stat().st_mode) == 0o700
    status, headers, body = up.call(demo["API_KEY"])
    assert (status, json.loads(body)["hello"]) == (200, "world")
    assert {"ratelimit", "ratelimit-policy"} <= set(headers)
    assert up.call("pe_live_wrong")[0] == 401
    with httpx2.Client() as client:
        page = up.sign_in(client)
        assert (page.status_code, page.url.path) == (200, "/organizations")
        assert "Demo on the free plan" in page.text
        assert client.get(f"{demo['PORTAL_URL']}/dev/mailbox").status_code == 200
    assert f"{demo['PORTAL_URL']}/dev/mailbox" in up.said()
    assert f'curl -i -H "X-API-Key: {demo["API_KEY"]}" {demo["GATEWAY_URL"]}/proxy/hello' in up.said()

    assert up.stop() == 0, up.said()
    assert processes_in(up.directory) == []
    assert not [path.name for path in up.directory.rglob("*") if path.suffix in {".pid", ".lock"}]
    assert is_free(9990 + up.offset)

    (up.directory / "demo.env").unlink()
    up.start()
    again = up.demo()
    assert "have been replaced" in up.said()
    assert {name for name in NAMES if again[name] != demo[name]} == {"API_KEY", "FREE_API_KEY", "BENCH_API_KEY"}
    assert up.call(demo["API_KEY"])[0] == 401
    assert up.call(again["API_KEY"])[0] == 200
    assert up.stop(signal.SIGTERM) == 0


def test_crashes_are_told_and_mended_and_a_second_up_is_refused(up):
    up.start()
    key = up.demo()["API_KEY"]
    second = subprocess.run(
        [sys.executable, "-m", "cli.main", "up"],
        cwd=ROOT,
        env=up.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"process {up.process.pid}" in second.stdout

    for name, title in (("valkey", "Valkey"), ("postgres", "PostgreSQL")):
        pid_file = {"valkey": "valkey.pid", "postgres": "postgres/postmaster.pid"}[name]
        os.kill(int((up.directory / pid_file).read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda title=title: f"{title} runs again" in up.said(), 60)
    wait_until(lambda: up.call(key)[0] == 200, 30)

    up.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Reloading the gateway" in up.said())
    assert up.call(key)[0] == 200
    up.process.send_signal(signal.SIGINT)
    up.process.send_signal(signal.SIGINT)
    up.process.wait(STOP_SECONDS)
    wait_until(lambda: processes_in(up.directory) == [])


def test_a_killed_up_leaves_nothing_running(up):
    up.start()
    up.process.kill()
    up.process.wait()
    wait_until(lambda: processes_in(up.directory) == [] and is_free(9990 + up.offset) and is_free(9992 + up.offset), 20)

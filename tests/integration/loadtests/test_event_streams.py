"""The streams' upstream and their reader agree, so that what a proxy adds is all that is left."""

import json
import os
import subprocess
import sys

import pytest

from loadtests.processes import ROOT, Process, free_port
from loadtests.streams.seen import Seen


@pytest.fixture
def source(tmp_path):
    port = free_port()
    argv = [sys.executable, "-m", "loadtests.streams.upstream", "--port", str(port)]
    with Process("streams", argv, tmp_path / "streams.log", env={"PYTHONPATH": str(ROOT)}).start(port):
        yield f"http://127.0.0.1:{port}/events"


def read(url: str, streams: int, seconds: float) -> Seen:
    argv = [sys.executable, "-m", "loadtests.streams.reader", url, "--streams", str(streams), "--seconds", str(seconds)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=True)
    return Seen(**json.loads(done.stdout))


def test_every_event_of_every_stream_is_read(source):
    seen = read(source, streams=8, seconds=1.5)
    assert seen.whole
    assert seen.events == 8 * 75
    assert 0 < seen.p50_ms <= seen.p99_ms <= seen.max_ms


def test_who_refuses_is_named(tmp_path):
    port = free_port()
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port)]
    with Process("server", argv, tmp_path / "server.log").start(port):
        seen = read(f"http://127.0.0.1:{port}/events", streams=2, seconds=0.2)
    assert seen.wrong
    assert not seen.whole

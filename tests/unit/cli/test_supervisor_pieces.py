"""Small parts of the supervisor: files, signals, restarts."""

import asyncio
import os
import signal
import stat
import time

import pytest

from cli.supervisor.child import Child
from cli.supervisor.env_file import read_env_file, write_env_file
from cli.supervisor.failures import StopRequested, SupervisorError
from cli.supervisor.inbox import Inbox
from cli.supervisor.ports import free_port
from cli.supervisor.watch import Watch


def test_env_file_is_private_and_comes_back(tmp_path):
    path = tmp_path / "instance.env"
    write_env_file(path, {"A": "1", "B": "x=y"}, "comment")
    assert read_env_file(path) == {"A": "1", "B": "x=y"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_env_file(tmp_path / "none") == {}


def test_signals_are_messages_and_a_second_stop_forces():
    forced = []
    with Inbox(lambda: forced.append(1)) as inbox:
        os.kill(os.getpid(), signal.SIGHUP)
        assert inbox.reload_within(1)
        assert not inbox.reload_within(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopRequested):
            inbox.reload_within(1)
        assert forced == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert forced == [1]


def test_a_stop_ends_a_coroutine_that_waits():
    async def wait_long():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    begin = time.monotonic()

    def run():
        with Inbox(lambda: None) as inbox, pytest.raises(StopRequested):
            inbox.run(wait_long())

    run()
    assert time.monotonic() - begin < 5


def test_a_child_that_ends_while_it_starts_is_explained(tmp_path):
    (tmp_path / "log").write_text("words of an earlier day\n")
    child = Child(
        "The thing", ["no_such_module"], log_path=tmp_path / "log", port=free_port(), path="/", on_poll=lambda: None
    )
    with pytest.raises(SupervisorError, match="No module named no_such_module") as caught:
        child.start()
    assert "earlier day" not in caught.value.message


def test_watch_restarts_what_died(tmp_path):
    port, said = free_port(), []
    child = Child(
        "The demo upstream",
        ["cli.demo_upstream", str(port)],
        log_path=tmp_path / "log",
        port=port,
        path="/hello",
        on_poll=lambda: None,
    )
    child.start()
    watch = Watch([child], said.append)
    watch.look()
    assert said == []
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    deadline = time.monotonic() + 30
    while len(said) < 2:
        watch.look()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "starts again in 0.5 s" in said[0]
    assert said[1] == "The demo upstream runs again."
    assert child.answers()
    child.stop()

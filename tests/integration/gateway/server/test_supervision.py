"""Workers behind one port: killed, rolled, stopped; what clients notice of it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.gateway.server.serving import ROOT, SUPERVISE, Served, environment, supervisor, wait_until
from tests.wire.raw_client import RawClient


def get(address, target=b"/x") -> bytes:
    """One GET on a connection of its own, read to its end; b'' if it failed."""
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"GET %b HTTP/1.0\r\n\r\n" % target)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return answer


class Load:
    """Clients that never retry: `kept` reuse a connection until told to close, `fresh` open one for each request."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answered = 0
        self.failures: list[str] = []
        self.workers: set[bytes] = set()
        self.over = False

    async def kept(self) -> None:
        while not self.over:
            async with await RawClient.connect(self.served.address) as client:
                asked = 0
                while not self.over:
                    client.received.clear()
                    sent = await client.send(self.served.get(b"/x"))
                    seen = await client.answers(1)
                    if not sent or not seen.final or not seen.final[0].whole:
                        self.failures.append(
                            f"request {asked} of a connection: {client.end} {bytes(client.received)!r}"
                        )
                        break
                    asked += 1
                    self.answered += 1
                    if seen.final[0].closes:
                        break
                    await asyncio.sleep(0.01)

    async def fresh(self) -> None:
        while not self.over:
            async with await RawClient.connect(self.served.address) as client:
                await client.send(self.served.get(b"/x", b"Connection: close"))
                seen = await client.answers(1)
                if seen.final and seen.final[0].whole:
                    self.answered += 1
                else:
                    self.failures.append(f"new connection: {client.end} {bytes(client.received)!r}")
            await asyncio.sleep(0.01)

    async def streaming(self) -> None:
        while not self.over:
            async with await RawClient.connect(self.served.address) as client:
                await client.send(self.served.get(b"/stream?n=40&pause=0.05"))
                seen = await client.answers(1)
                if not seen.final or not seen.final[0].whole:
                    self.failures.append(f"stream: {client.end}")
                self.answered += 1


async def polled(done, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_two_reloads_under_load_fail_no_request(tmp_path):
    with supervisor(tmp_path / "log", drain_seconds=4, header_timeout_seconds=5) as served:
        load = Load(served)
        before = set(served.workers())
        clients = (
            [load.kept() for _ in range(8)] + [load.fresh() for _ in range(4)] + [load.streaming() for _ in range(4)]
        )
        tasks = [asyncio.create_task(client) for client in clients]
        for reload in (1, 2):
            served.process.send_signal(signal.SIGHUP)
            await polled(lambda ready=reload: served.said("is ready") == 2 + 2 * ready)
            await asyncio.sleep(0.5)
        await polled(lambda: len(served.workers()) == 2)
        load.over = True
        await asyncio.gather(*tasks)
        assert load.failures == []
        assert load.answered > 500
        assert not before & set(served.workers())


async def test_a_killed_worker_costs_no_new_connection_and_is_replaced(tmp_path):
    with supervisor(tmp_path / "log") as served:
        load = Load(served)
        tasks = [asyncio.create_task(load.fresh()) for _ in range(4)]
        await polled(lambda: load.answered > 50)
        victim = served.workers()[0]
        # Only what the dead worker had accepted may break: let it hold nothing when it dies.
        load.over = True
        await asyncio.gather(*tasks)
        os.kill(victim, signal.SIGKILL)
        load.over, reached = False, load.answered
        tasks = [asyncio.create_task(load.fresh()) for _ in range(4)]
        await polled(lambda: served.said("is ready") == 3 and load.answered > reached + 200)
        load.over = True
        await asyncio.gather(*tasks)
        assert load.failures == []
        assert len(served.workers()) == 2
        assert victim not in served.workers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_process_and_frees_the_port(tmp_path, number):
    with supervisor(tmp_path / "log", shutdown_seconds=3) as served:
        workers = served.workers()
        with socket.create_connection(served.address) as kept:
            kept.sendall(served.get(b"/x"))
            assert kept.recv(4096)
            begun = time.monotonic()
            served.process.send_signal(number)
            assert served.process.wait(12) == 0
            assert time.monotonic() - begun >= 1.0, "a quiet connection is told, then closed"
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        socket.create_server(served.address).close()


def test_a_stop_lets_a_stream_finish_and_cuts_an_endless_one(tmp_path):
    with supervisor(tmp_path / "log", shutdown_seconds=2) as served:
        short = subprocess.Popen(
            [sys.executable, "-c", FETCH, str(served.address[1]), "/stream?n=10&pause=0.1"], stdout=subprocess.PIPE
        )
        endless = subprocess.Popen(
            [sys.executable, "-c", FETCH, str(served.address[1]), "/stream?n=1000&pause=0.1"], stdout=subprocess.PIPE
        )
        assert short.stdout.readline() == b"begun\n"
        assert endless.stdout.readline() == b"begun\n"
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(12) == 0
        assert time.monotonic() - begun < 8
        assert short.communicate()[0].endswith(b"0\r\n\r\n\n")
        assert not endless.communicate()[0].endswith(b"0\r\n\r\n\n")


FETCH = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"GET %b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" % sys.argv[2].encode())
answer = connection.recv(4096)
print("begun", flush=True)
try:
    while data := connection.recv(4096):
        answer += data
except OSError:
    pass
sys.stdout.buffer.write(answer + b"\\n")
"""


def test_workers_end_with_a_killed_supervisor(tmp_path):
    with supervisor(tmp_path / "log", shutdown_seconds=1) as served:
        workers = served.workers()
        served.process.kill()
        served.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5)


def test_a_killed_supervisor_lets_a_stream_finish(tmp_path):
    with supervisor(tmp_path / "log", shutdown_seconds=4) as served:
        workers = served.workers()
        short = subprocess.Popen(
            [sys.executable, "-c", FETCH, str(served.address[1]), "/stream?n=10&pause=0.1"], stdout=subprocess.PIPE
        )
        assert short.stdout.readline() == b"begun\n"
        served.process.kill()
        served.process.wait()
        assert short.communicate()[0].endswith(b"0\r\n\r\n\n")
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 8)


def test_a_taken_port_is_said_and_fails(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = subprocess.run(
            [sys.executable, "-c", SUPERVISE], env=environment(port=taken.getsockname()[1]), cwd=ROOT,
            capture_output=True, timeout=15, check=False,
        )  # fmt: skip
    assert failed.returncode == 1
    assert b"cannot listen on 127.0.0.1:" in failed.stderr
    assert b"Address already in use" in failed.stderr
    assert b"Traceback" not in failed.stderr


def test_workers_that_never_start_end_the_supervisor(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = SUPERVISE.replace("recording_app:create_app", "recording_app:no_such_factory")
    failed = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(port=port, workers=2),
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 1
    assert b"giving up" in failed.stderr


def ingester_of(served: Served) -> int | None:
    return next(iter(served.children("gateway.ingester.process")), None)


def test_the_ingester_is_started_again_when_killed_and_replaced_on_reload(tmp_path):
    with supervisor(tmp_path / "log") as served:
        wait_until(lambda: ingester_of(served) is not None)
        first, workers = ingester_of(served), set(served.workers())
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: ingester_of(served) not in {None, first})
        assert set(served.workers()) == workers
        wait_until((tmp_path / "state/journal/ingester.json").exists)
        second = ingester_of(served)
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: ingester_of(served) not in {None, second})
        third = ingester_of(served)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(12) == 0
        assert not Path(f"/proc/{third}").exists()


def test_the_ingester_ends_with_a_killed_supervisor(tmp_path):
    with supervisor(tmp_path / "log", shutdown_seconds=1) as served:
        wait_until((tmp_path / "state/journal/ingester.json").exists)
        ingester = ingester_of(served)
        served.process.kill()
        served.process.wait()
        wait_until(lambda: not Path(f"/proc/{ingester}").exists(), 15)


def test_a_state_folder_that_is_none_is_refused_in_one_line(tmp_path):
    (tmp_path / "state").touch()
    with supervisor(tmp_path / "log") as served:
        assert served.process.wait(10) == 1
        assert served.said("Traceback") == 0
        assert served.said("GATEWAY_STATE_DIR") == 1


def test_a_draining_ingester_leaves_a_shared_folder_to_the_one_that_works_on_it(tmp_path):
    with supervisor(tmp_path / "log") as served:
        wait_until(lambda: ingester_of(served) is not None)
        folder = tmp_path / "state" / "journal"
        wait_until((folder / "ingester.json").exists)
        ended = subprocess.run(
            [sys.executable, "-m", "gateway.ingester.process", "--drain"],
            env=environment(state_dir=tmp_path / "state"), cwd=ROOT, timeout=20, capture_output=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0
        assert b"another ingester works on" in ended.stderr

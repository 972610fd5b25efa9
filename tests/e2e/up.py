"""`paid-endpoint up` as a process of its own, for tests of the whole product."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2

from cli.supervisor.env_file import read_env_file
from cli.supervisor.ports import is_free
from tests.integration.cli.processes import ROOT, wait_until

START_SECONDS, STOP_SECONDS = 240, 60


class Up:
    """One `up` on its own directory and ports."""

    def __init__(self, directory: Path, offset: int) -> None:
        self.directory, self.offset, self.output = directory, offset, directory.parent / "up.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        mine = {"PE_DATA_DIR": str(self.directory), "PORT_OFFSET": str(self.offset), "GATEWAY_WORKERS": "1"}
        return {**os.environ, **mine, **self.settings, "NO_COLOR": "1"}

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up"],
                cwd=ROOT,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: "Stop with Ctrl-C" in self.said() or self.process.poll() is not None, START_SECONDS)
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        return self.output.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def demo(self) -> dict[str, str]:
        return read_env_file(self.directory / "demo.env")

    def call(self, key: str, path: str = "/proxy/hello") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", 9990 + self.offset, timeout=10)
        try:
            connection.request("GET", path, headers={"X-API-Key": key})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def sign_in(self, client: httpx2.Client) -> httpx2.Response:
        """Sign the demo's customer in to the portal as its page would."""
        demo = self.demo()
        page = client.get(f"{demo['PORTAL_URL']}/sign-in").text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        fields = {"csrf": token, "email": demo["USER_EMAIL"], "password": demo["USER_PASSWORD"]}
        return client.post(f"{demo['PORTAL_URL']}/sign-in", data=fields, follow_redirects=True)


@contextlib.contextmanager
def made_up(folder: Path, worker_number: int) -> Iterator[Up]:
    """An instance that is not started yet; killed at the end if it still runs."""
    # Below the ports that other tests draw for theirs (cli.supervisor.ports): none of them may be taken in between.
    offsets = range(110 + 300 * worker_number, 7_900, 50)
    offset = next(n for n in offsets if all(is_free(port + n) for port in (3000, *range(9990, 9998))))
    made = Up(folder / "data", offset)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()

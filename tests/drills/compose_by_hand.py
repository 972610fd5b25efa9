"""`python -m tests.drills.compose_by_hand`: docker-compose.yml without an engine, from `config` to the last SIGTERM.

The file is read strictly, and by `docker-compose config` where that program is (`--docker-compose PATH`, or on the path). Then
each service is started in the order of `depends_on` by its own command and environment, as a process on 127.0.0.1: in the place
of PostgreSQL's container stands the embedded server, Valkey is the embedded program under the file's command. Each must pass
the health check of the file. One paid call goes through the gateway, and one through nginx with docs/deploy/nginx.conf where
nginx is here. At the end each gets the file's stop signal and must end with status 0 within its grace period.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from cli.supervisor.ports import free_port
from cli.supervisor.services import EmbeddedServices
from domain.credit_amounts import parse_credits
from tests.compose import FILE, VALUES, compose
from tests.deploy import NGINX, nginx_configuration
from tests.drills.outcome import Outcome, arguments, tell
from tests.process_set import ProcessSet, get
from tests.wire.upstream import RecordingUpstream

OWNER = "paid_endpoint"
PRICE, GRANTED = "0.1", "5.00"
EDGE_NAME = "api.example.com"
SETTLED_SECONDS = 20.0


def config(program: str) -> tuple[str, list[str]]:
    """What `docker-compose config` says, and in what it reads the file otherwise than we do."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **VALUES}
    version = subprocess.run(
        [program, "version", "--short"], capture_output=True, text=True, check=False
    ).stdout.strip()
    asked = [program, "-f", str(FILE), "config", "--format", "json"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        return version, [f"docker-compose config: {done.stderr.strip()[:300]}"]
    theirs, ours = json.loads(done.stdout)["services"], compose(VALUES)["services"]
    broken = [f"services: {sorted(set(theirs) ^ set(ours))}"] if set(theirs) != set(ours) else []
    for name in set(theirs) & set(ours):
        for part in ("command", "environment"):
            # It writes a dollar sign twice, so that its output can be read again.
            said = json.loads(json.dumps(theirs[name].get(part)).replace("$$", "$"))
            if (said or {}) != (ours[name].get(part) or {}):
                broken.append(f"{name}: {part} is read otherwise")
    return version, broken


def exchange(port: int, request: bytes, *, edge: bool) -> bytes:
    """Send a request to 127.0.0.1, to an edge by TLS; the whole answer."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    if edge:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=EDGE_NAME)
    with connection:
        connection.sendall(request)
        parts = []
        with suppress(ssl.SSLError, ConnectionResetError):
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)


class Drill:
    """`lines` and `broken` of what was seen."""

    def __init__(self, processes: ProcessSet, folder: Path) -> None:
        self.processes, self.folder = processes, folder
        self.lines: list[tuple[str, ...]] = []
        self.broken: list[str] = []

    def start(self) -> None:
        """Everything in order, each healthy or done before those that wait for it."""
        for name in self.processes.in_order():
            begun = time.monotonic()
            if name == "migrate":
                self.processes.command(*self.processes.services[name]["command"], name=name)
                self._note(name, f"ended with 0 after {time.monotonic() - begun:.1f} s")
                continue
            if name != "postgres":
                self.processes.start(name)
            self._note(name, f"healthy after {self.processes.until_healthy(name):.1f} s, by its own check")

    def pay(self, upstream: int) -> None:
        """One paid call straight, one by the edge, and what is in the ledger then."""
        ask = self.processes.data
        ask("plans", "create", "starter", "--limit", "1000/hour")
        ask("organizations", "create", "--name", "Acme", "--plan", "starter")
        ask("services", "create", "paid", "--prefix", "/paid", "--upstream", f"http://127.0.0.1:{upstream}")
        ask("operations", "create", "paid", "--method", "GET", "--path", "/x", "--name", "x", "--credits", PRICE)
        ask("credits", "grant", "acme", GRANTED, "--reason", "drill")
        key = ask("keys", "create", "--organization", "acme", "--name", "one")["key"]
        time.sleep(1)
        self._call("gateway", key, self.processes.ports["gateway"])
        calls = 1
        if NGINX:
            with self._edge() as port:
                self._call("nginx", key, port, edge=True)
            calls += 1
        else:
            self._note("a paid call by nginx", "no nginx is here")
        self._settled(calls)

    def look(self) -> None:
        """The other faces, and the doctor."""
        ports = self.processes.ports
        pages = {"portal": ("/sign-in", "app.example.com"), "admin": ("/sign-in", "admin.example.com")}
        for name, (path, host) in pages.items():
            self._note(f"{name} {path}", str(get(f"http://127.0.0.1:{ports[name]}{path}", Host=host)[0]))
        workers = get(f"http://127.0.0.1:{ports['metrics']}/metrics")[1]
        self._note("gateway's metrics", "2 workers" if b"paid_endpoint_workers 2.0" in workers else "other workers")
        failing = self.processes.doctor()
        self._note("doctor", "nothing fails" if not failing else "; ".join(failing))
        self.broken += failing

    def stop(self) -> None:
        """In the order of an engine: who waits for others first."""
        for name in reversed(self.processes.in_order()):
            if name not in self.processes.running:
                continue
            begun = time.monotonic()
            status = self.processes.stop(name)
            self._note(f"{name} is stopped", f"status {status} after {time.monotonic() - begun:.1f} s")
            if status:
                self.broken.append(f"{name} ended with status {status}")

    def _call(self, name: str, key: str, port: int, *, edge: bool = False) -> None:
        head = f"GET /paid/x HTTP/1.1\r\nHost: {EDGE_NAME}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        answer = exchange(port, head.encode(), edge=edge)
        status = answer.split(b" ", 2)[1].decode()
        charged = re.search(rb"(?im)^x-credits-charged: (\S+)", answer)
        self._note(f"a paid call by {name}", f"{status}, charged {charged[1].decode() if charged else 'nothing'}")
        if status != "200" or not charged or charged[1].decode() != PRICE:
            self.broken.append(f"by {name}: {answer[:300]!r}")

    @contextmanager
    def _edge(self) -> Iterator[int]:
        """nginx with our file before the gateway; its port."""
        ports, tls = self.processes.ports, free_port()
        given = {"tls": tls, "plain": free_port(), "gateway": ports["gateway"], "portal": ports["portal"]}
        file = nginx_configuration(self.folder, **given)
        process = subprocess.Popen([str(NGINX), "-c", str(file), "-p", str(self.folder)], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", tls), 1):
                    break
                time.sleep(0.05)
            yield tls
        finally:
            process.terminate()
            process.wait(10)

    def _settled(self, calls: int) -> None:
        wanted = parse_credits(GRANTED) - calls * parse_credits(PRICE)
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            balance = self.processes.data("credits", "balance", "acme")
            stored = len(self.processes.data("logs", "list", "--organization", "acme"))
            if stored >= calls or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        drifts = self.processes.data("credits", "reconcile")["drifts"]
        self._note("stored and charged", f"{stored} rows, balance {balance['balance']}, {len(drifts)} drifts")
        if stored != calls or balance["balance_micro"] != wanted or drifts:
            self.broken.append(f"{stored} rows of {calls}, balance {balance}, drifts {drifts}")

    def _note(self, what: str, figure: str) -> None:
        self.lines.append((what, figure))


async def _database(server_url: str) -> str:
    """The file's database of the file's user, on the server that stands in for its container."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"create role {OWNER} login password '{VALUES['POSTGRES_PASSWORD']}'")
    await connection.execute(f"create database {OWNER} owner {OWNER}")
    await connection.close()
    place = server_url.rpartition("@")[2].rpartition("/")[0]
    return f"postgresql://{OWNER}:{VALUES['POSTGRES_PASSWORD']}@{place}/{OWNER}"


def drill(database_url: str, folder: Path, program: str | None) -> Outcome:
    """All of it, in an empty database; `program` is a docker-compose, or None."""
    made = Drill(ProcessSet(folder, database_url), folder)
    made.lines.append(("docker-compose.yml", f"{len(made.processes.services)} services, read strictly"))
    if program:
        version, broken = config(program)
        made.lines.append(
            ("docker-compose config", f"{version}: " + ("; ".join(broken) or "passes, and reads the same"))
        )
        made.broken += broken
    else:
        made.lines.append(("docker-compose config", "no such program is here"))
    upstream = RecordingUpstream().start()
    try:
        made.start()
        made.pay(upstream.port)
        made.look()
        made.stop()
    finally:
        upstream.stop()
        made.processes.end()
    return Outcome("docker-compose.yml by hand", ("what", "figures"), made.lines, made.broken)


def main() -> int:
    """See the module."""
    parser = arguments("compose_by_hand", __doc__ or "")
    parser.add_argument("--docker-compose", metavar="PATH", default=shutil.which("docker-compose"))
    options = parser.parse_args()
    with TemporaryDirectory(prefix="paid-endpoint-compose-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account that root lends to PostgreSQL passes through
        work = folder / "work"
        work.mkdir()
        with EmbeddedServices(folder / "services") as servers:
            url = asyncio.run(_database(servers.database_url))
            return tell([drill(url, work, options.docker_compose)], options)


if __name__ == "__main__":
    sys.exit(main())

"""The product on this machine, from nothing to ready, and back to nothing."""

import os
import signal
import time

from cli.supervisor.child import Child
from cli.supervisor.database import ROLE, ensure_database
from cli.supervisor.inbox import Inbox
from cli.supervisor.instance import Instance
from cli.supervisor.ports import require_free
from cli.supervisor.postgres import PostgresServer
from cli.supervisor.server import Server
from cli.supervisor.valkey import ValkeyServer
from domain.settings import Settings, load_settings

STOP_SECONDS = {
    "admin": 0.5, "portal": 0.8, "gateway": 4.4, "jobs": 0.4, "upstream": 0.6, "valkey": 1.0, "postgres": 2.0,
}  # fmt: skip
"""How long each may take to end by itself, in the order of stopping, and what those before left over: below 10 s together."""


class Product:
    """Servers by their names in the order of starting; those of the database are missing if they run elsewhere."""

    def __init__(self, instance: Instance, settings: Settings, *, demo: bool) -> None:
        self.instance = instance
        self.servers: dict[str, Server] = {}
        self.inbox = Inbox(self.kill)
        self._settings = settings
        self.demo = demo

    @property
    def parts(self) -> list[PostgresServer | ValkeyServer | Child]:
        """All servers, for the watch."""
        return [part for part in self.servers.values() if isinstance(part, (PostgresServer, ValkeyServer, Child))]

    @property
    def upstream_url(self) -> str:
        """Where the demo service's upstream is."""
        return f"http://127.0.0.1:{self.instance.ports.upstream}"

    @property
    def has_mailbox(self) -> bool:
        """Whether the portal shows the mails that it would send."""
        mail, portal = load_settings().mail, self._settings.portal
        return mail.mailbox and not mail.smtp_url.get_secret_value() and not portal.secure

    def require_ports(self) -> None:
        """Raise SupervisorError for the first port that somebody else holds, before anything is started."""
        ports, gateway = self.instance.ports, self._settings.gateway
        require_free(ports.gateway, "the gateway", gateway.host)
        require_free(ports.portal, "the portal", self._settings.portal.host)
        require_free(ports.admin, "the back office", self._settings.admin.host)
        if ports.internal:
            require_free(ports.internal, "the gateway's metrics")
        if ports.jobs:
            require_free(ports.jobs, "the jobs", self._settings.jobs.host)
        if self.demo:
            require_free(ports.upstream, "the demo upstream")

    def start_databases(self) -> None:
        """Start those that are not given, and remember all addresses in instance.env for the other commands."""
        instance, secrets = self.instance, self.instance.pairs
        database_url, redis_url = instance.given_database_url, instance.given_redis_url
        if database_url is None:
            postgres = PostgresServer(
                instance.directory / "postgres",
                instance.logs / "postgres.log",
                instance.ports.postgres,
                secrets["POSTGRES_PASSWORD"],
                on_poll=self.inbox.check,
            )
            self.servers["postgres"] = postgres
            lost = "POSTGRES_PASSWORD" in instance.new_secrets and (postgres.directory / "PG_VERSION").exists()
            postgres.start(reset_password=lost)
            password = secrets["APPLICATION_PASSWORD"]
            self.inbox.run(ensure_database(postgres.url(), password))
            database_url = f"postgresql://{ROLE}:{password}@127.0.0.1:{postgres.port}/{ROLE}"
        if redis_url is None:
            valkey = ValkeyServer(
                instance.directory / "valkey",
                instance.logs / "valkey.log",
                instance.ports.valkey,
                secrets["VALKEY_PASSWORD"],
                on_poll=self.inbox.check,
            )
            self.servers["valkey"] = valkey
            valkey.start()
            redis_url = valkey.url()
        # The mails of an instance on somebody's machine are read there; a MAIL_MAILBOX of the environment stands above it.
        instance.save(DATABASE_URL=database_url, REDIS_URL=redis_url, MAIL_MAILBOX="true")

    def start_upstream(self) -> None:
        """Start the demo upstream."""
        port = self.instance.ports.upstream
        self._start_child("upstream", "The demo upstream", ["cli.demo_upstream", str(port)], port, "/hello")

    def start_gateway(self) -> None:
        """Start the gateway and wait until GET /ready answers 200."""
        self._start_child("gateway", "The gateway", ["cli.main", "gateway"], self.instance.ports.gateway, "/ready")

    def start_portal(self) -> None:
        """Start the portal and wait until it serves."""
        self._start_child("portal", "The portal", ["cli.main", "portal"], self.instance.ports.portal, "/health")

    def start_jobs(self) -> None:
        """Start the job workers and wait until they live; unless they are turned off with JOBS_PORT=0."""
        if self.instance.ports.jobs:
            self._start_child("jobs", "The job workers", ["cli.main", "jobs"], self.instance.ports.jobs, "/health")

    def start_admin(self) -> None:
        """Start the back office and wait until it serves."""
        self._start_child("admin", "The back office", ["cli.main", "admin"], self.instance.ports.admin, "/health")

    def reload_gateway(self) -> None:
        """Pass a reload on to the gateway."""
        gateway = self.servers.get("gateway")
        if isinstance(gateway, Child):
            gateway.reload()

    def stop(self) -> None:
        """Stop everything, what was started last first. What one does not need of its time, the next ones may."""
        spare = 0.0
        jobs = self.servers.get("jobs")
        if isinstance(jobs, Child):
            jobs.tell_to_stop()  # so that jobs can end while the others do
        for name, seconds in STOP_SECONDS.items():
            spare += seconds
            if name in self.servers:
                begin = time.monotonic()
                self.servers[name].stop(spare)
                spare = max(0.0, spare - (time.monotonic() - begin))

    def kill(self) -> None:
        """Kill everything at once; called from a signal handler, so it neither waits nor raises."""
        for server in self.servers.values():
            if server.process is not None:
                kill_session(server.process.pid)

    def _start_child(self, name: str, title: str, arguments: list[str], port: int, path: str) -> None:
        child = Child(
            title,
            arguments,
            log_path=self.instance.logs / f"{name}.log",
            port=port,
            path=path,
            on_poll=self.inbox.check,
        )
        self.servers[name] = child
        child.start()


def kill_session(pid: int) -> None:
    """SIGKILL the process and its group, that is also the workers it made."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

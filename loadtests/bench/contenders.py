"""The servers that are compared, all alive at once on core 0; only the one that is measured has anything to do."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from loadtests.bench.nginx import nginx_path, start_nginx
from loadtests.installation import Gateway, Installation
from loadtests.processes import ROOT, Process, family, free_ports, worker_pids
from loadtests.upstream import start_upstream

PATH, FREE_PATH = "/bench/items", "/bench/free"

UPSTREAM = "upstream"
NGINX_PROXY = "nginx proxy_pass"
NGINX_GATEWAY = "nginx gateway"
OURS, FREE = "paid-endpoint", "the same without a price"
BARE = "bare pass-through"
NAIVE = "Starlette + httpx"
ORDER = (UPSTREAM, NGINX_PROXY, NGINX_GATEWAY, OURS, FREE, BARE, NAIVE)
SINGLE = (UPSTREAM, NGINX_GATEWAY, OURS)
"""Rows that are also measured at concurrency 1."""


@dataclass(frozen=True, slots=True)
class Contenders:
    """URLs and serving processes by row, the key that every row is asked with, and whose log rows to count."""

    urls: dict[str, str]
    pids: dict[str, int]
    key: str
    organization: UUID
    limits: tuple[str, ...]
    gateway: Gateway


@contextmanager
def contenders(made: Installation, core: int | None, other_core: int | None) -> Iterator[Contenders]:
    """Start all of them on `core` (None: not pinned), the gateway's ingester on the other one. Raises ProcessFailedError or CommandError."""
    ports = dict(zip(ORDER, free_ports(len(ORDER)), strict=True))
    organization, key, limits = customer(made, f"http://127.0.0.1:{ports[UPSTREAM]}/bench")
    with ExitStack() as stack:
        upstream = ports[UPSTREAM]
        if nginx_path():
            nginx_ports = (upstream, ports[NGINX_PROXY], ports[NGINX_GATEWAY])
            nginx = stack.enter_context(start_nginx(made.folder / "nginx", key, nginx_ports, core))
            pids = dict.fromkeys((UPSTREAM, NGINX_PROXY, NGINX_GATEWAY), family(nginx.pid)[-1])
        else:
            pids = {UPSTREAM: stack.enter_context(start_upstream(made.folder, upstream, core)).pid}
            del ports[NGINX_PROXY], ports[NGINX_GATEWAY]
        gateway = made.gateway(workers=1, core=core)
        stack.enter_context(gateway.process)
        bare = stack.enter_context(_bare(made, ports[BARE], upstream, core))
        pids[NAIVE] = stack.enter_context(_naive(made.folder, ports[NAIVE], upstream, core)).pid
        made.until_ready(gateway)
        made.place_ingester(gateway, other_core)
        urls = {row: f"http://127.0.0.1:{port}{PATH}" for row, port in ports.items()}
        urls[OURS], urls[FREE] = f"{gateway.url}{PATH}", f"{gateway.url}{FREE_PATH}"
        pids[OURS], pids[BARE] = (worker_pids(process.pid)[0] for process in (gateway.process, bare))
        pids[FREE] = pids[OURS]
        yield Contenders(urls, pids, key, organization, limits, gateway)


def customer(made: Installation, upstream: str) -> tuple[UUID, str, tuple[str, ...]]:
    """A customer with every policy on and none in the way: an IP list, a scope, a priced operation, and its limits."""
    limits = made.roomy_plan("bench")
    organization = made.organization("Bench", "bench")
    made.service("bench", "/bench", upstream)
    for name, price in (("items", "0.000001"), ("free", "0")):
        made.command(
            *("operations", "create", "bench", "--method", "GET", "--path", f"/{name}", "--name", name),
            *("--credits", price, "--json"),
        )
    made.command("credits", "grant", organization["slug"], "1000000", "--reason", "bench", "--json")
    key = made.key(organization["slug"], "bench", "--allow-ip", "127.0.0.0/8", "--scope", "bench")
    return UUID(organization["id"]), key["key"], limits


def _naive(folder: Path, port: int, upstream: int, core: int | None) -> Process:
    argv = [sys.executable, "-m", "uvicorn", "loadtests.bench.naive:app", "--port", str(port), "--no-access-log"]
    env = {"NAIVE_UPSTREAM": f"http://127.0.0.1:{upstream}", "PYTHONPATH": str(ROOT)}
    return Process("naive", argv, folder / "naive.log", core=core, env=env).start(port)


def _bare(made: Installation, port: int, upstream: int, core: int | None) -> Process:
    env = {
        **made.settings,
        "UPSTREAM_API_URL": f"http://127.0.0.1:{upstream}",
        "GATEWAY_PORT": str(port),
        "GATEWAY_WORKERS": "1",
        "GATEWAY_STATE_DIR": str(made.folder / "bare"),
    }
    argv = [sys.executable, "-m", "loadtests.bench.bare"]
    return Process("bare", argv, made.folder / "bare.log", core=core, env=env, cwd=made.folder).start(port)

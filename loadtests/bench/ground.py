"""What several measurements stand on: a quick upstream, a gateway with one worker, a crowd of customers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from domain.settings import KeySettings
from loadtests.bench.nginx import nginx_path, start_answering
from loadtests.bench.stand import Stand
from loadtests.bench.wrk import Mix, run_mix
from loadtests.crowd import Crowd, settle
from loadtests.installation import Gateway, Installation
from loadtests.processes import free_port, resident_bytes, worker_pids
from loadtests.upstream import start_upstream


@contextmanager
def answering(folder: Path, stand: Stand) -> Iterator[str]:
    """The URL of an upstream on the servers' core that answers everything with the same 200 bytes."""
    port = free_port()
    started = (
        start_answering(folder / "nginx", port, stand.server_core)
        if nginx_path()
        else start_upstream(folder, port, stand.server_core)
    )
    with started:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serving(made: Installation, stand: Stand) -> Iterator[Gateway]:
    """The installation's gateway: one worker on the servers' core, its ingester on the other; it shows metrics."""
    gateway = made.gateway(workers=1, core=stand.server_core, env={"GATEWAY_INTERNAL_PORT": str(free_port())})
    with gateway.process:
        made.until_ready(gateway)
        made.place_ingester(gateway, stand.load_core)
        yield gateway


async def settle_in(made: Installation, crowd: Crowd, upstream: str) -> None:
    """Put a crowd on a roomy plan into an installation whose gateway does not run yet."""
    made.roomy_plan("crowd")
    pepper = KeySettings(peppers=made.settings["KEY_PEPPERS"]).pepper_by_version[1]
    connection = await asyncpg.connect(made.databases.database_url)
    try:
        await settle(connection, crowd, "crowd", upstream, pepper)
    finally:
        await connection.close()


def warm_up(mix: Mix, keys: int, stand: Stand) -> None:
    """Ask until each of the keys has been asked for some times, in one run of wrk that is long enough; at most 30 s."""
    seconds = 1
    while run_mix(mix, connections=64, seconds=seconds, core=stand.load_core)[0].answers < 3 * keys and seconds < 16:
        seconds *= 2


def megabytes(gateway: Gateway) -> float:
    """What its worker holds, shared pages included."""
    return resident_bytes(worker_of(gateway)) / 1e6


def worker_of(gateway: Gateway) -> int:
    """The process id of its worker."""
    return worker_pids(gateway.process.pid)[0]

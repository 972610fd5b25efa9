"""B7: the request log keeps up: at the peak of one core for as long as asked, and from a journal that is written by hand."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from loadtests.bench.audit import audit
from loadtests.bench.ground import answering, serving, settle_in
from loadtests.bench.ingest_report import BURST_FEW, BURST_MANY, STEADY, WANTED_RATE, Live, Synthetic, judge
from loadtests.bench.result import Part
from loadtests.bench.scale import FEW, sizes
from loadtests.bench.stand import Stand
from loadtests.bench.wrk import Mix, parse, wrk_command
from loadtests.crowd import lines
from loadtests.ingest.feed import PROBES, Fed, written_at
from loadtests.ingest.watch import Watch, background, follow, probe, sample, until
from loadtests.installation import Gateway, Installation
from loadtests.processes import ROOT, ingester_pids, parent, pinned
from loadtests.raw_client import Address

BURST_ROWS = 150_000
FEW_KEYS, MANY_KEYS = 20, 20_000
CATCH_UP_SECONDS = 60.0
FOLDED = "select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = 'day'"


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway whose log is watched; `postgres` is the database server's process, 0 if it is not ours."""

    made: Installation
    gateway: Gateway
    stand: Stand
    postgres: int
    ingesters: list[int]


def measure_ingest(made: Installation, stand: Stand) -> Part:
    """The whole part."""
    crowd = sizes(quick=True).small
    with answering(made.folder, stand) as upstream:
        asyncio.run(settle_in(made, crowd, upstream))
        probe_organization = made.organization("Probe", "crowd")
        probe_key = made.key(probe_organization["slug"], "probe")["key"]
        file = made.folder / "ingest.txt"
        file.write_text(lines(crowd, crowd.spread(2 * FEW), list(range(crowd.operations))))
        with serving(made, stand) as gateway:
            scene = asyncio.run(_scene(made, gateway, stand))
            path = crowd.path(0, 0)
            live = asyncio.run(_live(scene, Mix(gateway.url, file=file), path, probe_organization["id"], probe_key))
            synthetic = asyncio.run(_by_hand(scene)) if scene.ingesters else []
    return judge(live, synthetic)


async def _scene(made: Installation, gateway: Gateway, stand: Stand) -> Scene:
    connection = await asyncpg.connect(made.databases.database_url)
    try:
        backend = await connection.fetchval("select pg_backend_pid()")
        # Its parent is the server, as long as that runs on this machine.
        server = parent(backend) if made.databases.embedded else 0
    finally:
        await connection.close()
    return Scene(made, gateway, stand, server, ingester_pids(gateway.process.pid))


async def _live(scene: Scene, mix: Mix, path: str, organization: str, key: str) -> Live:
    stand, database = scene.stand, scene.made.databases.database_url
    seconds = stand.seconds(round(stand.ingest_minutes * 60)) + 2
    watch = Watch()
    async with background(
        follow(database, UUID(organization), watch, watch.waiting.get),
        probe(Address.of(scene.gateway.url), key, path, watch),
        sample(database, scene.gateway.internal_port, scene.ingesters, scene.postgres, watch),
    ):
        output = await _output(wrk_command(mix, connections=64, seconds=seconds, core=stand.load_core), seconds + 60)
        loaded = time.monotonic() - watch.began
        await until(lambda: _seen_since(watch, loaded), CATCH_UP_SECONDS)
    run, _ = parse(output)
    stand.say(f"{run.rate:,.0f} requests/s for {seconds} s: worst lag {watch.worst:.2f} s")
    probes = len(watch.lags) + len(watch.waiting)
    found = await audit(database, None, run.answers + probes, 64 + watch.broken, CATCH_UP_SECONDS)
    return Live(run, watch, loaded, found)


def _seen_since(watch: Watch, moment: float) -> bool:
    return any(at >= moment for at, _ in watch.lags)


async def _by_hand(scene: Scene) -> list[Synthetic]:
    """Two bursts, then a steady stream of the rate that is wanted."""
    burst = BURST_ROWS // 30 if scene.stand.quick else BURST_ROWS
    steady = round(WANTED_RATE * max(2.0, scene.stand.seconds(20), 60 * scene.stand.ingest_minutes / 2))
    if scene.stand.quick:
        steady = burst
    found = []
    for name, keys, rows, rate in (
        (BURST_FEW, FEW_KEYS, burst, 0), (BURST_MANY, MANY_KEYS, burst, 0), (STEADY, MANY_KEYS, steady, WANTED_RATE)
    ):  # fmt: skip
        found.append(await _fed(scene, name, keys, rows, rate))
    return found


async def _fed(scene: Scene, name: str, keys: int, rows: int, rate: float) -> Synthetic:
    database, watch = scene.made.databases.database_url, Watch()
    argv = [sys.executable, "-m", "loadtests.ingest.feed", str(scene.made.journals)]
    argv += ["--rows", str(rows), "--rate", str(rate), "--keys", str(keys)]
    before = await _folded(database)
    async with background(
        follow(database, PROBES, watch, _written_behind(watch.began)),
        sample(database, 0, scene.ingesters, scene.postgres, watch),
    ):
        allowed = CATCH_UP_SECONDS + (4 * rows / rate if rate else rows / 1_000)
        fed = Fed(**json.loads(await _output(pinned(argv, scene.stand.server_core), allowed)))
        ended = fed.ended_ns / 1e9 - watch.began - 0.001
        stored = await until(lambda: _seen_since(watch, ended), CATCH_UP_SECONDS)
        stored_at = time.monotonic()
        folded = stored and await _fold_of(database, before + rows)
        folded_at = time.monotonic()
    began = fed.began_ns / 1e9
    made = Synthetic(
        name, keys, rate, fed, watch, stored_at - began if stored else None, folded_at - began if folded else None
    )
    scene.stand.say(f"{name}: {made.stored_rate:,.0f} rows/s, worst lag {watch.worst:.2f} s")
    return made


def _written_behind(moment: float) -> Callable[[UUID], float | None]:
    """When a probe was written; None for one of an earlier feed."""

    def ended(id_: UUID) -> float | None:
        at = written_at(id_)
        return at if at >= moment else None

    return ended


async def _fold_of(database: str, rows: int) -> bool:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while await _folded(database) < rows:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def _folded(database: str) -> int:
    connection = await asyncpg.connect(database)
    try:
        return int(await connection.fetchval(FOLDED))
    finally:
        await connection.close()


async def _output(argv: list[str], seconds: float) -> str:
    """What a program prints. Raises RuntimeError when it fails or takes longer than that; then it is ended."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE, env=env)
    try:
        async with asyncio.timeout(seconds):
            output, errors = await child.communicate()
    except TimeoutError as error:
        raise RuntimeError(f"{argv[0]} took longer than {seconds:.0f} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"{' '.join(argv[:5])} failed: {errors.decode()[-500:]}")
    return output.decode()

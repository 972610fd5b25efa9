"""B8: what a worker holds, and whether it grows while it serves."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from loadtests.bench.ground import answering, serving, settle_in, warm_up, worker_of
from loadtests.bench.result import Lines, Part
from loadtests.bench.rounds import Spread
from loadtests.bench.scale import MANY, sizes
from loadtests.bench.sparkline import sparkline
from loadtests.bench.stand import Stand
from loadtests.bench.targets import at_most
from loadtests.bench.wrk import Mix, parse, run_mix, wrk_command
from loadtests.crowd import lines
from loadtests.installation import Installation
from loadtests.processes import anonymous_bytes, resident_bytes

MOST_MB = 120.0
LONG_MINUTES = 10.0
FLAT_MB_PER_MINUTE, SHORT_MB_PER_MINUTE = 0.1, 1.0
"""What still counts as flat; in a soak of under ten minutes a page more or less weighs much."""
TABLE_LINES = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Megabytes at a moment of the soak: all resident pages, and those that are no file's."""

    seconds: float
    resident: float
    anonymous: float


@dataclass(frozen=True, slots=True)
class Soak:
    """`samples` are of the loaded worker; `start` and `warm` were taken before, `rest` some seconds behind the load."""

    start: Sample
    warm: Sample
    samples: list[Sample]
    rest: Sample
    answers: int
    not_200: int


def measure_memory(made: Installation, stand: Stand) -> Part:
    """The whole part: one worker under a crowd of 1,000 keys at full speed."""
    crowd = sizes(quick=True).small
    seconds = stand.seconds(round(stand.soak_minutes * 60)) + 4
    with answering(made.folder, stand) as upstream:
        asyncio.run(settle_in(made, crowd, upstream))
        with serving(made, stand) as gateway:
            file = made.folder / "soak.txt"
            file.write_text(lines(crowd, crowd.spread(MANY), list(range(crowd.operations))))
            soak = run_soak(worker_of(gateway), Mix(gateway.url, file=file), seconds, stand)
    return judge(soak, seconds)


def run_soak(worker: int, mix: Mix, seconds: int, stand: Stand) -> Soak:
    """Warm the worker up, then look at it once a second, or every five in a long soak, while wrk asks."""
    start = _sample(worker, time.monotonic())
    warm_up(mix, MANY, stand)
    run_mix(mix, connections=64, seconds=stand.seconds(5), core=stand.load_core)
    began = time.monotonic()
    warm = _sample(worker, began)
    argv = wrk_command(mix, connections=64, seconds=seconds, core=stand.load_core)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        try:
            samples = list(_watched(worker, began, seconds, child))
            output, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    run, _ = parse(output)
    time.sleep(stand.seconds(3))
    return Soak(start, warm, samples, _sample(worker, began), run.answers, run.not_200)


def _watched(worker: int, began: float, seconds: int, child: "subprocess.Popen[str]") -> Iterator[Sample]:
    step = 1.0 if seconds <= 120 else 5.0
    while child.poll() is None and time.monotonic() - began < seconds + 30:
        yield _sample(worker, began)
        time.sleep(step)


def _sample(worker: int, began: float) -> Sample:
    return Sample(time.monotonic() - began, resident_bytes(worker) / 1e6, anonymous_bytes(worker) / 1e6)


def slope(samples: Sequence[Sample]) -> float:
    """Megabytes a minute by which anonymous memory grows, least squares over the later two thirds; 0 for under 3."""
    late = samples[len(samples) // 3 :]
    if len(late) < 3:
        return 0.0
    mean_x = sum(one.seconds for one in late) / len(late)
    mean_y = sum(one.anonymous for one in late) / len(late)
    over = sum((one.seconds - mean_x) * (one.anonymous - mean_y) for one in late)
    under = sum((one.seconds - mean_x) ** 2 for one in late)
    return 60 * over / under if under else 0.0


def judge(soak: Soak, seconds: int) -> Part:
    """The part from its samples."""
    resident = [one.resident for one in soak.samples] or [soak.warm.resident]
    held = Spread(max(resident), min(resident), max(resident))
    flat = FLAT_MB_PER_MINUTE if seconds >= LONG_MINUTES * 60 else SHORT_MB_PER_MINUTE
    growth = slope(soak.samples)
    return Part(
        "memory", "B8: memory of a worker",
        targets=[
            at_most("B8 memory", "most resident of one worker", MOST_MB, "MB", held),
            at_most("B8 growth", f"over {seconds / 60:.1f} min at full speed", flat, "MB/min", round(growth, 3)),
        ],
        tables={"memory over time": _lines(soak)},
        notes=[
            f"{soak.answers:,} answers to {MANY:,} keys, {soak.not_200} not 200.",
            f"Anonymous memory over time: {sparkline([one.anonymous for one in soak.samples])}",
            "Resident counts shared pages and mapped journals; growth is of anonymous memory, which no file stands behind.",
        ],
        faults=[f"{soak.not_200} answers that were not 200"] if soak.not_200 else [],
        data={"growth_mb_per_minute": growth, "samples": [asdict(one) for one in thinned(soak.samples, 200)]},
    )  # fmt: skip


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At the most so many of them, evenly spread, the last one among them."""
    if len(samples) <= most:
        return list(samples)
    return [samples[round(place * (len(samples) - 1) / (most - 1))] for place in range(most)]


def _lines(soak: Soak) -> Lines:
    named = [("started", soak.start), ("warm", soak.warm)]
    named += [(f"{one.seconds:.0f} s", one) for one in thinned(soak.samples, TABLE_LINES)]
    named.append(("at rest", soak.rest))
    lines_: Lines = [("when", "resident MB", "anonymous MB")]
    return lines_ + [(name, f"{one.resident:.1f}", f"{one.anonymous:.1f}") for name, one in named]

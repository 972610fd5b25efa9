"""B6: the same speed with a million keys, ten thousand organizations and a thousand operations as with ten.

Two installations run side by side, a small and a big one, and are asked in turn by callers that hold the same number of
keys. A third kind of caller, who comes with any key of the million, is reported beside: most of its keys are in no
cache, so that each costs a read of the database.
"""

import asyncio
import random
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from domain.key_format import ALPHABET
from loadtests.bench.ground import answering, megabytes, serving, settle_in, warm_up, worker_of
from loadtests.bench.result import Lines, Part
from loadtests.bench.rounds import Round, measure_rounds, ratio, spread
from loadtests.bench.stand import Stand
from loadtests.bench.targets import at_least
from loadtests.bench.wrk import Mix, Run, run_mix
from loadtests.crowd import Crowd, lines
from loadtests.installation import Gateway, Installation, installation

FEW, MANY = 10, 1_000
SMALL_FEW, BIG_FEW = "small, 10 keys", "a million, 10 keys"
SMALL_MANY, BIG_MANY = "small, 1,000 keys", "a million, 1,000 keys"
BIG_ANY = "a million, any key"
ANY = 100_000
"""Keys that the third kind of caller goes through before it begins again: twice what a worker holds."""
SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Sizes:
    """How big the two are; smaller in a smoke test."""

    small: Crowd
    big: Crowd


def sizes(*, quick: bool) -> Sizes:
    """The design's figures, or fewer."""
    seed = "".join(secrets.choice(ALPHABET) for _ in range(26))
    big = Crowd(20_000, 1_000, 1_000, seed) if quick else Crowd(1_000_000, 10_000, 1_000, seed)
    return Sizes(Crowd(MANY, FEW, FEW, seed), big)


@dataclass(slots=True)
class Found:
    """Everything measured: the rounds, the callers with any key, and what workers held, in megabytes."""

    rounds: list[Round]
    any_key: Run
    memory: dict[str, float]
    seeding: dict[str, float]


def measure_scale(made: Installation, stand: Stand) -> Part:
    """The whole part; `made` becomes the big installation."""
    wanted = sizes(quick=stand.quick)
    seeding: dict[str, float] = {}
    with installation(durable=True) as small_made, ExitStack() as stack:
        upstream = stack.enter_context(answering(made.folder, stand))
        gateways = {}
        for name, one, crowd in (("small", small_made, wanted.small), ("big", made, wanted.big)):
            began = time.monotonic()
            asyncio.run(settle_in(one, crowd, upstream))
            seeding[name] = time.monotonic() - began
            stand.say(f"{crowd.keys:,} keys, {crowd.organizations:,} organizations: written in {seeding[name]:.0f} s")
            gateways[name] = stack.enter_context(serving(one, stand))
        mixes = _mixes(made.folder, wanted, gateways)
        for row, (mix, _) in mixes.items():
            warm_up(mix, MANY if row in {SMALL_MANY, BIG_MANY} else FEW, stand)
        rounds = measure_rounds(
            list(mixes), lambda row: (_run(mixes[row], row, stand), None), stand.rounds, SMALL_FEW, extra=2
        )
        memory = {name: megabytes(gateway) for name, gateway in gateways.items()}
        any_key = _run(_any_key(made.folder, wanted.big, gateways["big"]), BIG_ANY, stand)
        memory["big, after any key"] = megabytes(gateways["big"])
    return judge(Found(rounds, any_key, memory, seeding), wanted)


def judge(found: Found, wanted: Sizes) -> Part:
    """The part from what was measured."""
    few, many = ratio(found.rounds, BIG_FEW, SMALL_FEW), ratio(found.rounds, BIG_MANY, SMALL_MANY)
    what = f"{wanted.big.keys:,} keys / {wanted.small.organizations} of each, callers with {{}} keys"
    faults = [
        f"{row}: {run.not_200} not 200, {run.broken} broken, {run.answers} in all"
        for one in found.rounds
        for row, run in one.full.items()
        if not run.clean
    ]
    seeding = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found.seeding.items())
    return Part(
        "scale", "B6: a million keys",
        targets=[
            at_least("B6 few", what.format(FEW), SHARE, "x", few),
            at_least("B6 many", what.format(f"{MANY:,}"), SHARE, "x", many),
        ],
        tables={"requests by size": _lines(found)},
        notes=[
            (f"Small: {wanted.small.keys:,} keys of {wanted.small.organizations} organizations, "
            f"{wanted.small.operations} operations. Big: {wanted.big.keys:,} keys of {wanted.big.organizations:,} "
            f"organizations, {wanted.big.operations:,} operations in {wanted.big.services} services, asked in all rows."),
            (f"`{BIG_ANY}` goes through {ANY:,} keys, more than a worker holds: each request is a miss and a read of the "
            "database. It is no part of the targets."),
            "Resident in the worker: " + ", ".join(f"{name} {size:.0f} MB" for name, size in found.memory.items()),
            f"Core 0: both gateways' workers and the upstream. Core 1: everything else. Seeding took: {seeding}.",
        ],
        faults=faults,
        data={"memory": found.memory, "ratio": {"few": few.middle, "many": many.middle}, "any_key": found.any_key.rate},
    )  # fmt: skip


def _lines(found: Found) -> Lines:
    lines_: Lines = [("row", "requests/s", "least .. most", "p50 ms", "p99 ms", "worker us/request", "not 200")]
    for row in found.rounds[0].full:
        rate = spread(found.rounds, row, lambda run: run.rate)
        p50 = spread(found.rounds, row, lambda run: run.p50_us).middle / 1000
        p99 = spread(found.rounds, row, lambda run: run.p99_us).middle / 1000
        cost = spread(found.rounds, row, lambda run: run.server_us).middle
        wrong = sum(one.full[row].not_200 for one in found.rounds)
        bounds = f"{rate.least:,.0f} .. {rate.most:,.0f}"
        lines_.append((row, f"{rate.middle:,.0f}", bounds, f"{p50:.2f}", f"{p99:.2f}", f"{cost:.1f}", str(wrong)))
    run = found.any_key
    lines_.append((
        BIG_ANY, f"{run.rate:,.0f}", "", f"{run.p50_us / 1000:.2f}", f"{run.p99_us / 1000:.2f}", f"{run.server_us:.1f}",
        str(run.not_200),
    ))  # fmt: skip
    return lines_


def _mixes(folder: Path, wanted: Sizes, gateways: dict[str, Gateway]) -> dict[str, tuple[Mix, int]]:
    rows = (
        (SMALL_FEW, "small", wanted.small, FEW), (BIG_FEW, "big", wanted.big, FEW),
        (SMALL_MANY, "small", wanted.small, MANY), (BIG_MANY, "big", wanted.big, MANY),
    )  # fmt: skip
    mixes = {}
    for number, (row, gateway, crowd, count) in enumerate(rows):
        file = folder / f"mix-{number}.txt"
        stride = max(1, crowd.operations // count)
        # Every fifth operation has the same form, so that both callers of a pair ask for the same mix of forms.
        operations = [(place * stride // 5 * 5 + place % 5) % crowd.operations for place in range(count)]
        file.write_text(lines(crowd, crowd.spread(count), operations))
        mixes[row] = Mix(gateways[gateway].url, file=file), worker_of(gateways[gateway])
    return mixes


def _any_key(folder: Path, crowd: Crowd, gateway: Gateway) -> tuple[Mix, int]:
    chance = random.Random(6)
    numbers = [chance.randrange(crowd.keys) for _ in range(ANY)]
    file = folder / "mix-any.txt"
    file.write_text(lines(crowd, numbers, [chance.randrange(crowd.operations) for _ in range(MANY)]))
    return Mix(gateway.url, file=file), worker_of(gateway)


def _run(asked: tuple[Mix, int], row: str, stand: Stand) -> Run:
    mix, worker = asked
    run_mix(mix, connections=64, seconds=1, core=stand.load_core)
    run, _ = run_mix(mix, connections=64, seconds=stand.seconds(4), core=stand.load_core, server=worker)
    stand.say(f"{row:22} {run.rate:10,.0f}/s   p99 {run.p99_us / 1000:8.2f} ms   {run.not_200} not 200")
    return run

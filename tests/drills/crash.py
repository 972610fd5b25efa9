"""`python -m tests.drills.crash`: `kill -9` of a worker; new connections do not notice, cut streams can be told.

A request that the killed worker had in its hands at that very moment cannot be answered by anybody: those are
counted on their own, by time. Every other failure of a new connection breaks the promise.
"""

import asyncio
import os
import signal
import sys
import time

from loadtests.installation import installation
from tests.drills.load import Tally, load
from tests.drills.outcome import Outcome, arguments, tell
from tests.drills.stage import WORKERS, Stage, stage

REPLACED_SECONDS = 20.0


async def drill(scene: Stage, *, kills: int = 3, pause: float = 3.0) -> Outcome:
    """Kill one worker after the other, each when its predecessor has been replaced."""
    moments, broken = [], []
    async with load(scene.address, scene.key) as seen:
        await asyncio.sleep(pause)
        for number in range(kills):
            victim = scene.workers[number % WORKERS]
            moments.append(time.monotonic())
            os.kill(victim, signal.SIGKILL)
            while victim in scene.workers or len(scene.workers) < WORKERS:
                if time.monotonic() - moments[-1] > REPLACED_SECONDS:
                    broken.append(f"no new worker within {REPLACED_SECONDS:.0f} s")
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(pause)
    lines = []
    for tally in seen.tallies:
        struck = tally.struck_by(moments)
        lines.append((tally.name, str(tally.good), str(len(struck)), str(len(tally.failures) - len(struck))))
        broken += undue(tally, moments)
    head = ("caller", "whole 200", "failed in the killed worker's hands", "failed otherwise")
    return Outcome(f"kill -9 of a worker x {kills}", head, lines, broken)


def undue(tally: Tally, moments: list[float]) -> list[str]:
    """Failures that no kill explains, and those of which the caller could not tell that they are failures.

    A kept connection that the killed worker held idle fails with its next request: the kernel says so with an end
    or a reset, before that request or at it.
    """
    struck = tally.struck_by(moments)
    found = [one.what for one in tally.failures if one not in struck and not _died_with_its_worker(tally, one.what)]
    found += [one.what for one in struck if "UNDETECTABLE" in one.what]
    return [f"{tally.name}: {what}" for what in found]


def _died_with_its_worker(tally: Tally, what: str) -> bool:
    return tally.name == "kept connections" and ("ConnectionReset" in what or "IncompleteRead" in what)


def main() -> int:
    """See the module."""
    parser = arguments("crash", __doc__ or "")
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    with installation() as made, stage(made) as scene:
        return tell([asyncio.run(drill(scene, kills=options.kills))], options)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.drills.reload`: SIGHUP twice under load; nobody loses a request, not even who never tries again."""

import asyncio
import os
import signal
import sys
import time

from loadtests.installation import installation
from tests.drills.load import load
from tests.drills.outcome import Outcome, arguments, tell
from tests.drills.stage import WORKERS, Stage, stage

ROLL_SECONDS = 90.0


async def drill(scene: Stage, *, reloads: int = 2, pause: float = 3.0) -> Outcome:
    """Reload while every kind of caller is at work; each reload is over when no worker of before lives."""
    took = []
    async with load(scene.address, scene.key) as seen:
        await asyncio.sleep(pause)
        for _ in range(reloads):
            began, before = time.monotonic(), set(scene.workers)
            os.kill(scene.gateway.process.pid, signal.SIGHUP)
            while before & set(scene.workers) or len(scene.workers) < WORKERS:
                if time.monotonic() - began > ROLL_SECONDS:
                    break
                await asyncio.sleep(0.05)
            took.append(time.monotonic() - began)
            await asyncio.sleep(pause)
    broken = [f"{tally.name}: {failure.what}" for tally in seen.tallies for failure in tally.failures]
    broken += [f"a reload took {seconds:.0f} s" for seconds in took if seconds > ROLL_SECONDS]
    lines = [(tally.name, str(tally.good), str(len(tally.failures)), str(tally.reopened)) for tally in seen.tallies]
    title = f"reload x {reloads} under load, {', '.join(f'{seconds:.1f} s' for seconds in took)}"
    return Outcome(title, ("caller", "whole 200", "failed", "closed by us while idle"), lines, broken)


def main() -> int:
    """See the module."""
    parser = arguments("reload", __doc__ or "")
    parser.add_argument("--reloads", type=int, default=2)
    options = parser.parse_args()
    with installation() as made, stage(made) as scene:
        return tell([asyncio.run(drill(scene, reloads=options.reloads))], options)


if __name__ == "__main__":
    sys.exit(main())

"""One run of wrk: what it saw, and whether the run may be counted."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtests.processes import pinned

SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; latencies in microseconds, `duration_us` is what wrk measured, not what was asked for."""

    answers: int
    duration_us: int
    not_200: int
    broken: int
    timeouts: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / (self.duration_us / 1e6)

    @property
    def clean(self) -> bool:
        """There were answers, every one 200, and no connection broke: the run may count.

        `timeouts` are answers that took more than two seconds; slow is not wrong.
        """
        return self.answers > 0 and not (self.not_200 or self.broken)


def wrk_path() -> str | None:
    """wrk, if this machine has it."""
    return shutil.which("wrk")


def run_wrk(url: str, key: str, *, connections: int, seconds: int, core: int | None) -> Run:
    """Load `url` for `seconds` with one thread. Raises RuntimeError with wrk's output if it printed no figures."""
    program = wrk_path()
    if program is None:
        raise FileNotFoundError("wrk")
    argv = [
        program,
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        "--latency",
        "-H",
        f"X-API-Key: {key}",
        "-s",
        str(SCRIPT),
    ]
    done = subprocess.run(pinned([*argv, url], core), capture_output=True, text=True, timeout=seconds + 30, check=False)
    line = done.stdout.strip().rpartition("\n")[2]
    if done.returncode != 0 or not line.startswith("{"):
        raise RuntimeError(f"wrk failed on {url}: {(done.stderr or done.stdout).replace(key, '***')[-500:]}")
    return Run(**json.loads(line))

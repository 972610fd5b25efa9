"""One run of wrk: what it saw, and whether the run may be counted."""

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.processes import pinned, processor_seconds

SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; latencies in microseconds, `duration_us` is what wrk measured, not what was asked for.

    `server_us` is the processor time of the server's process per answer, 0 where nobody looked: unlike the rate it hardly
    changes with what else the machine does.
    """

    answers: int
    duration_us: int
    not_200: int
    broken: int
    timeouts: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int
    server_us: float = 0.0

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


@dataclass(frozen=True, slots=True)
class Mix:
    """What wrk asks for: one URL with one key, or the lines `PATH KEY` of a file, on the host of the URL, in turn."""

    url: str
    key: str = ""
    file: Path | None = None


def wrk_path() -> str | None:
    """wrk, if this machine has it."""
    return shutil.which("wrk")


def run_wrk(url: str, key: str, *, connections: int, seconds: int, core: int | None, server: int | None = None) -> Run:
    """Load `url` for `seconds` with one thread; `server` is the process that answers. Raises RuntimeError."""
    return run_mix(Mix(url, key), connections=connections, seconds=seconds, core=core, server=server)[0]


def run_mix(
    mix: Mix, *, connections: int, seconds: int, core: int | None, server: int | None = None
) -> tuple[Run, dict[int, int]]:
    """The same with many keys; also how many answers had which status. Raises RuntimeError with wrk's output."""
    argv = wrk_command(mix, connections=connections, seconds=seconds, core=core)
    pids = [] if server is None else [server]
    before = processor_seconds(pids)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30, check=False)
    used = processor_seconds(pids) - before
    if done.returncode != 0:
        raise RuntimeError(
            f"wrk failed on {mix.url}: {(done.stderr or done.stdout).replace(mix.key or ' ', '***')[-500:]}"
        )
    run, statuses = parse(done.stdout)
    return replace(run, server_us=round(used * 1e6 / max(run.answers, 1), 1)), statuses


def wrk_command(mix: Mix, *, connections: int, seconds: int, core: int | None) -> list[str]:
    """What to run. Raises FileNotFoundError."""
    program = wrk_path()
    if program is None:
        raise FileNotFoundError("wrk")
    argv = [program, "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(SCRIPT)]
    argv += ["-H", f"X-API-Key: {mix.key}"] if mix.key else []
    return pinned([*argv, mix.url, *(["--", str(mix.file)] if mix.file else [])], core)


def parse(output: str) -> tuple[Run, dict[int, int]]:
    """The figures in what wrk printed. Raises RuntimeError where there are none."""
    line = output.strip().rpartition("\n")[2]
    if not line.startswith("{"):
        raise RuntimeError(f"wrk printed no figures: {output[-500:]}")
    figures = json.loads(line)
    statuses = {int(status): count for status, count in figures.pop("statuses").items()}
    not_200 = sum(count for status, count in statuses.items() if status != 200)
    return Run(**figures, not_200=not_200), statuses

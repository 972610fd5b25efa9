"""`python -m loadtests.bench` (= `make bench`): the gateway beside what users could pick instead, in one run.

Exit status 1 when the figures may not be used, or with `--gate` when a target is missed; 2 when something is missing
that the run needs.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console

from loadtests.bench.contenders import NGINX_GATEWAY, NGINX_PROXY
from loadtests.bench.events import measure_events
from loadtests.bench.ingest import measure_ingest
from loadtests.bench.machine import describe
from loadtests.bench.memory import measure_memory
from loadtests.bench.nginx import nginx_path
from loadtests.bench.report import markdown, show
from loadtests.bench.result import Part, Result
from loadtests.bench.scale import measure_scale
from loadtests.bench.speed import measure_speed
from loadtests.bench.stand import Stand
from loadtests.bench.targets import at_least
from loadtests.bench.traces import measure_traces
from loadtests.bench.wrk import wrk_path
from loadtests.installation import CommandError, Installation, installation
from loadtests.processes import ROOT, ProcessFailedError

PAGE = ROOT / "docs" / "benchmarks.md"
PARTS: dict[str, tuple[tuple[str, ...], Callable[[Installation, Stand], Part]]] = {
    "speed": (("B1", "B2", "B3", "B4"), measure_speed),
    "streams": (("B5",), measure_events),
    "scale": (("B6",), measure_scale),
    "ingest": (("B7",), measure_ingest),
    "memory": (("B8",), measure_memory),
    "traces": (("traces",), measure_traces),
}
"""What is measured, in this order: the targets of each, and how."""
NAMES = tuple(name for names, _ in PARTS.values() for name in names)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=NAMES, help="one target (with those measured with it); repeat it"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 21), metavar="1..20", help="counted rounds (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="runs of a second or two: a smoke test, not a figure")
    parser.add_argument("--ingest-minutes", type=float, default=0.5, help="B7 (default 0.5)")
    parser.add_argument("--soak-minutes", type=float, default=0.5, help="B8 (default 0.5)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--write", action="store_true", help="keep the result in docs/benchmarks.md, unless it is a smoke test"
    )
    parser.add_argument("--gate", action="store_true", help="exit status 1 when a target is missed")
    return parser.parse_args()


def measure(stand: Stand, only: list[str] | None) -> list[Part]:
    """The chosen parts, one after the other, each in an installation of its own."""
    parts = []
    for name, (targets, run) in PARTS.items():
        if only and not set(only) & set(targets):
            continue
        stand.say(f"-- {', '.join(targets)}")
        try:
            with installation(durable=True) as made:
                parts.append(run(made, stand))
        except (ProcessFailedError, CommandError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            # The others can still be measured, and this one shows up as what it is.
            missing = [at_least(target, "not measured", 0, "", None) for target in targets]
            parts.append(Part(name, f"{', '.join(targets)}: not measured", missing, faults=[f"not measured: {error}"]))
            stand.say(str(error))
    return parts


def main() -> int:
    """Run it; see the module."""
    options = arguments()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 150)
    if wrk_path() is None:
        console.print("wrk not found, and without it hardly anything is measured. On Debian: apt-get install wrk")
        return 2
    if nginx_path() is None:
        console.print(
            f"nginx not found: the rows `{NGINX_PROXY}` and `{NGINX_GATEWAY}` (target B1) are left out, and a slower "
            "stub is the upstream. On Debian: apt-get install nginx-light"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    stand = Stand(console, options.rounds, options.quick, options.ingest_minutes, options.soak_minutes)
    stand.pin()
    began = datetime.now(UTC)
    result = Result(describe(), began.strftime("%Y-%m-%d %H:%M UTC"), measure(stand, options.only))
    if options.json:
        print(json.dumps(result.as_dict(), indent=2))
    else:
        show(result, console)
    if options.write and not options.quick:
        PAGE.write_text(markdown(result, PAGE.read_text() if PAGE.exists() else ""))
    missed = options.gate and not all(target.held for target in result.targets)
    console.print(f"took {(datetime.now(UTC) - began).total_seconds():.0f} s", highlight=False)
    return 1 if result.faults or missed else 0


if __name__ == "__main__":
    sys.exit(main())

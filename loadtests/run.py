"""`python -m loadtests.run` (= `make load`): locust without a browser against an installation of its own.

The report is build/load.html. Exit status 1 when a budget of budgets.toml is passed.
"""

import argparse
import os
import subprocess
import sys

from loadtests.budgets import load_budgets
from loadtests.installation import Installation, installation
from loadtests.processes import ROOT, free_port
from loadtests.upstream import start_upstream

FREE_LIMIT, HAMMER_LIMIT = (
    f"{load_budgets('locust')[name].per_hour}/hour" for name in ("free GET /items", "abusive hammering")
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, choices=range(1, 3601), metavar="1..3600")
    parser.add_argument("--users", type=int, default=24, choices=range(5, 1001), metavar="5..1000")
    parser.add_argument("--workers", type=int, default=2, help="gateway workers (default 2)")
    return parser.parse_args()


def furnish(made: Installation, upstream_port: int) -> dict[str, str]:
    """Three customers and a service; the environment that the locustfile reads."""
    made.roomy_plan("paying")
    made.plan("free-load", [FREE_LIMIT])
    made.plan("hammer-load", [HAMMER_LIMIT])
    made.service("load", "/load", f"http://127.0.0.1:{upstream_port}")
    keys = {}
    for name, plan in (("PAYING", "paying"), ("FREE", "free-load"), ("HAMMER", "hammer-load")):
        organization = made.organization(f"Load {name.lower()}", plan)
        keys[f"LOAD_{name}_KEY"] = made.key(organization["slug"], "load")["key"]
    return keys


def run_locust(url: str, keys: dict[str, str], users: int, seconds: int) -> int:
    """Its exit status."""
    report = ROOT / "build" / "load.html"
    report.parent.mkdir(exist_ok=True)
    argv = [
        sys.executable, "-m", "locust", "--locustfile", str(ROOT / "loadtests" / "locustfile.py"), "--headless",
        "--host", url, "--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s",
        "--stop-timeout", "5", "--html", str(report), "--only-summary",
    ]  # fmt: skip
    env = {**os.environ, **keys, "PYTHONPATH": str(ROOT)}
    status = subprocess.run(argv, env=env, cwd=ROOT, timeout=seconds + 120, check=False).returncode
    print(f"report: {report.relative_to(ROOT)}")
    return status


def main() -> int:
    """See the module."""
    options = arguments()
    port = free_port()
    with installation() as made, start_upstream(made.folder, port):
        keys = furnish(made, port)
        gateway = made.gateway(workers=options.workers)
        with gateway.process:
            made.until_ready(gateway)
            return 1 if run_locust(gateway.url, keys, options.users, options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())

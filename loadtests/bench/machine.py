"""What a figure is worth nothing without: the machine, the versions, the commit."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from loadtests.bench.nginx import nginx_path
from loadtests.bench.wrk import wrk_path
from loadtests.processes import ROOT

PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "asyncpg", "redis", "httpx2")


def describe() -> dict[str, str]:
    """Name and value of everything that a reader needs to judge the figures."""
    facts = {
        "commit": commit(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for program, path, option in (("nginx", nginx_path(), "-v"), ("wrk", wrk_path(), "-v")):
        facts[program] = _first_line(path, option) if path else "missing"
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "missing"
    return facts


def commit() -> str:
    """The commit that runs, with `+changes` if the tree differs from it; `unknown` outside a repository."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + ("+changes" if head and _git("status", "--porcelain", "--untracked-files=no") else "") or "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _first_line(path: str, option: str) -> str:
    done = subprocess.run([path, option], capture_output=True, text=True, timeout=10, check=False)
    line = (done.stdout + done.stderr).strip().splitlines()[0]
    return line.partition(" Copyright")[0].removeprefix("nginx version: ").strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

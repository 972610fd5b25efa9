"""The house stays small: file sizes, names, the order of the chain, no addresses of registries."""

import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "portal", "admin", "jobs", "domain", "schema", "cli", "loadtests")
SOURCES = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
NOTHING_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager", "handler", "handlers"}


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_over_400_lines_or_named_after_nothing(file):
    assert lines(file) <= 400
    assert file.stem not in NOTHING_NAMES


def test_the_median_file_has_at_most_100_lines():
    assert statistics.median(lines(file) for file in SOURCES if lines(file)) <= 100


def test_architecture_stays_readable():
    assert lines(ROOT / "ARCHITECTURE.md") <= 150


def test_the_chain_is_pinned():
    from gateway.chain import POLICIES

    assert [policy.__name__ for policy in POLICIES] == [
        "admit_recordable",
        "match_route",
        "authenticate",
        "confine_key",
        "check_access",
        "limit_rate",
        "replay_outcome",
        "charge_credits",
    ]


def test_no_committed_file_names_a_registry_or_an_index():
    tracked = (
        subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    )
    pattern = re.compile(r"--(extra-)?index-url|pypi\.org|pythonhosted|registry\.npmjs")
    mine = Path(__file__).name
    for name in filter(None, tracked):
        file = ROOT / name
        if (
            file.is_file()
            and file.suffix in {".toml", ".lock", ".in", ".txt", ".yml", ".cfg", ""}
            and file.name != mine
        ):
            assert not pattern.search(file.read_text(errors="replace")), name


def test_packages_have_empty_inits():
    for package in PACKAGES:
        for init in (ROOT / package).rglob("__init__.py"):
            assert init.read_text() == "", init


def test_every_section_of_the_style_sheet_begins_outside_of_a_block():
    # Two branches that both end in a brace merge into one brace: what follows is then swallowed by a media query.
    depth = 0
    for number, line in enumerate((ROOT / "portal/static/portal.css").read_text().splitlines(), 1):
        assert depth == 0 or not line.startswith(("/*", "@media", ".")), f"line {number} is inside of a block"
        depth += line.count("{") - line.count("}")
    assert depth == 0

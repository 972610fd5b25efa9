"""In which order, and beside which others, xdist's workers take the tests.

A module goes to one worker as a whole, and so does a folder whose modules share what takes long to start: it is started once
for each way in which it is run. What takes long comes first: at the end there is something short for whoever is idle.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARING = (
    "tests/e2e/flows/",
    "tests/integration/gateway/async_jobs/",
    "tests/integration/gateway/charging/",
    "tests/integration/gateway/replaying/",
    "tests/integration/gateway/exchange/",
)
"""Folders with a fixture for all of their modules that starts programs of ours."""

LONG = (
    "tests/e2e/looks/test_office_pages.py",
    "tests/e2e/flows/",
    "tests/drills/test_storms.py",
    "tests/integration/gateway/async_jobs/",
    "tests/integration/gateway/charging/",
    "tests/integration/gateway/replaying/",
    "tests/e2e/looks/test_pages.py",
)
"""Units of work of more than half a minute; longest first."""


def unit_of(nodeid: str) -> str:
    """The folder or the module that a test is taken with."""
    return next((folder for folder in SHARING if nodeid.startswith(folder)), nodeid.partition("::")[0])


class ByUnit(LoadScopeScheduling):
    """A unit of work is a sharing folder or a module, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Ours in the place of xdist's for `--dist loadscope`."""
    return ByUnit(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long in front, all else as it was."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    unit = unit_of(item.nodeid)
    return LONG.index(unit) if unit in LONG else len(LONG)

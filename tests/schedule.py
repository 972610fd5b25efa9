"""In which order, and beside which others, xdist's workers take the tests.

A module goes to one worker as a whole (as does a group, by its mark), so that what it shares is made once. What takes long
comes first: at the end there is something short for whoever is idle.
"""

import pytest
from xdist.scheduler import LoadGroupScheduling

LONG = (
    "looks",
    "flows",
    "drills/test_storms.py",
)
"""Groups, and modules below `tests`, of more than half a minute; longest first."""


class ByModule(LoadGroupScheduling):
    """A unit of work is a group or a module, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Ours in the place of xdist's for `--dist loadgroup`."""
    return ByModule(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long in front, all else as it was."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    name = group.args[0] if group else item.nodeid.partition("::")[0].removeprefix("tests/")
    return LONG.index(name) if name in LONG else len(LONG)

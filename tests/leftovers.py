"""What a module leaves open is told of in that module, and not in whatever test runs when the garbage is collected."""

import gc
import warnings

import pytest


def pytest_collection_finish() -> None:
    """Thousands of collected tests are no garbage: later looks at it are quick, and so are frequent."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None):
    """After a module's last test: what nobody holds any longer must have been closed."""
    result = yield
    if nextitem is None or nextitem.path != item.path:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        left = [str(one.message) for one in said if issubclass(one.category, ResourceWarning)]
        if left:
            pytest.fail(f"{item.path.name} left open: {'; '.join(left)}", pytrace=False)
    return result

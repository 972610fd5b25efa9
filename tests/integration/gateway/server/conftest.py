import pytest

from tests.integration.gateway.server.serving import worker


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A worker whose clients have little time."""
    log = tmp_path_factory.mktemp("worker") / "log"
    times = {"header_timeout_seconds": 1, "body_timeout_seconds": 1, "keepalive_timeout_seconds": 2}
    with worker(log, **times, write_timeout_seconds=2, linger_seconds=1, max_connections=50) as made:
        yield made

"""The ground of the lease tests: a nursery of workers, a clock, a Valkey that lives by it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leases.machine import Figures, Ground
from tests.leases.workers import Nursery, nursery
from tests.leases.world_clock import WorldClock, library
from tests.valkeys import OwnValkey, own_valkey


@pytest.fixture(scope="module")
def clock() -> Iterator[WorldClock]:
    if library() is None:
        pytest.skip("libfaketime is not there for this machine")
    with tempfile.TemporaryDirectory(prefix="paid-endpoint-clock-") as folder:
        yield WorldClock(Path(folder))


@pytest.fixture(scope="module")
def cradle(clock: WorldClock) -> Iterator[Nursery]:
    # A socket's path is short; pytest's own folders are not.
    with tempfile.TemporaryDirectory(prefix="pe-") as folder, nursery(Path(folder), clock.shared) as made:
        yield made


@pytest.fixture(scope="module")
def server(clock: WorldClock) -> Iterator[OwnValkey]:
    with own_valkey(environment=clock.server_environment) as started:
        yield started


@pytest.fixture(scope="module")
def ground(cradle: Nursery, clock: WorldClock, server: OwnValkey) -> Ground:
    return Ground(cradle, clock, server, Figures())

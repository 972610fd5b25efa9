"""Kill storms and outages in their short forms; `make storm` and `make outage` run the long ones."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.drills import disk_full, outage, storm
from tests.drills.ground import Ground, ground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def own_ground(*, reserved: bool) -> Iterator[Ground]:
    """An installation of the test's own. Its seed is printed; with the long form it makes the same choices again."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with ground(seed, reserved=reserved) as made:
        yield made


def test_nothing_answered_is_lost_whatever_is_killed_also_all_at_once() -> None:
    with own_ground(reserved=True) as place:
        assert storm.storm(place, seconds=10, every=2, everybody=True, recovery=4).broken == []


def test_known_keys_go_on_while_postgresql_or_redis_is_away() -> None:
    with own_ground(reserved=False) as place:
        assert outage.outage(place, postgres=6, redis=4, between=4) == []


@pytest.mark.skipif(not disk_full.possible(), reason="mounting a small disk needs root")
def test_a_full_disk_stops_admission_and_loses_nothing() -> None:
    with disk_full.small_disk(random.SystemRandom().randrange(10**6)) as made:
        assert disk_full.disk_full(made) == []

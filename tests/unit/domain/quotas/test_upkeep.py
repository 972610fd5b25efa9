"""What is not spent is forgotten, and looking for it never takes the worker's time from its requests."""

from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from domain.quotas import upkeep
from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings
from tests.snapshots import key, limit, plan

MOST = 10


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Limiter:
    """Never started: its Redis is nowhere."""
    monkeypatch.setattr(upkeep, "_MOST_ALLOWANCES", MOST)
    return Limiter(RedisSettings(url=f"unix://{tmp_path}/none"), workers=1)


def test_too_many_that_nobody_uses_are_forgotten_at_once(limiter: Limiter) -> None:
    sold = plan(limit("hour", 5, scope="key"))
    for _ in range(3 * MOST):
        limiter.bucket(key(), sold)
    limiter.upkeep.turn()
    assert limiter.upkeep.count == MOST


def test_too_many_of_an_organization_whose_call_is_under_way_are_looked_at_once(limiter: Limiter) -> None:
    """Nothing can be forgotten before the call lands, which it can't while this looks for more."""
    organization, sold = uuid4(), plan(limit("hour", 5, scope="key"))
    buckets = [limiter.bucket(key(organization), sold) for _ in range(3 * MOST)]
    buckets[0].account.busy = True
    limiter.upkeep.turn()
    assert limiter.upkeep.count == 3 * MOST
    buckets[0].account.busy = False
    limiter.upkeep.turn()
    assert limiter.upkeep.count == MOST


@pytest.mark.parametrize(("idle", "goes_back"), [(0.5, False), (1.5, True)])
def test_slots_go_back_when_nobody_takes_any_not_when_none_is_taken_at_a_look(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch, idle: float, *, goes_back: bool
) -> None:
    """A key that asks ten times a second hardly ever has a request in progress when it is looked at."""
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.0)
    bucket = limiter.bucket(key(), plan(limit("concurrent", 10)))
    slots, now = bucket.allowances[0], monotonic()
    slots.kept = slots.left = slots.lent = 4
    slots.deadline = now + 15
    assert bucket.take()
    bucket.done()
    slots.spent_at = now - idle
    limiter.upkeep.watch(slots)
    limiter.upkeep.turn()
    assert slots.returning is goes_back

"""What is not spent is forgotten, and looking for it never takes the worker's time from its requests."""

from pathlib import Path
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

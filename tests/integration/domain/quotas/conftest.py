"""Limiters as workers are, against real servers."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings

Workers = Callable[..., Any]


@pytest.fixture
async def workers(redis_url) -> AsyncIterator[Workers]:
    """A maker of limiters, which are stopped at the end of the test."""
    made: list[Limiter] = []

    async def make(count: int, url: str = redis_url, **options) -> list[Limiter]:
        started = [Limiter(RedisSettings(url=url, timeout_ms=2_000), workers=count, **options) for _ in range(count)]
        made.extend(started)
        for limiter in started:
            await limiter.start()
        return started

    yield make
    for limiter in made:
        await limiter.stop()

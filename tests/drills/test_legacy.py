"""The drill of moving an older installation over, in its short form; `python -m tests.drills.legacy` runs the long one."""

from pathlib import Path

import pytest

from tests.drills.legacy import drill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


async def test_an_older_installation_moves_over_whole(server_urls: tuple[str, str], tmp_path: Path) -> None:
    outcome = await drill(*server_urls, tmp_path, 4_000)
    assert outcome.broken == [], outcome.lines

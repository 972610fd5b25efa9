from pathlib import Path
from uuid import uuid4

import pytest

from domain.journal.journal import Journal
from domain.settings import JournalSettings


@pytest.fixture
async def journal_in():
    """Makes started journals in a folder, and stops them in the end."""
    made: list[Journal] = []

    async def make(folder: Path, **settings: int) -> Journal:
        journal = Journal(folder / uuid4().hex, JournalSettings(**({"segment_mb": 1, "max_mb": 16} | settings)))
        await journal.start()
        made.append(journal)
        return journal

    yield make
    for journal in made:
        await journal.stop()

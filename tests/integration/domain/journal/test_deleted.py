"""Somebody deletes the folder of a living journal: mapped memory goes on taking records, and nobody would know."""

import shutil

from domain.journal.journal import Journal
from domain.journal.records import END
from domain.settings import load_settings
from tests.deadlines import until
from tests.journals import record

NAME = "1469ea369353405db0cbc7e752885c1d"


async def test_it_is_said_as_soon_as_something_is_written(tmp_path, caplog):
    settings = load_settings().journal.model_copy(update={"fsync_ms": 20})
    journal = Journal(tmp_path / NAME, settings)
    await journal.start()
    try:
        shutil.rmtree(tmp_path / NAME)
        assert journal.promise()
        journal.append(END, record())
        await until(lambda: "was deleted" in journal.status().fault)
        assert len([said for said in caplog.messages if "SIGHUP" in said]) == 1
    finally:
        await journal.stop()

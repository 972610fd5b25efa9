"""`doctor` and the folder of journals and lease books: usable or not, room, backlog, what was left behind."""

import fcntl

import pytest

from cli.checkup.state_folder import check_state_folder
from domain.journal.journal import Journal
from domain.journal.records import END
from domain.settings import load_settings
from tests.journals import record

NAME = "1469ea369353405db0cbc7e752885c1d"


@pytest.fixture
def examine(monkeypatch, tmp_path):
    """A function: `doctor`'s findings on the folder, by subject."""

    def examine(folder=tmp_path, **settings):
        for name, value in {"GATEWAY_STATE_DIR": folder, "JOURNAL_MAX_MB": 64, **settings}.items():
            monkeypatch.setenv(name, str(value))
        return {finding.subject: finding for finding in check_state_folder(load_settings())}

    return examine


def test_a_folder_that_is_not_there_yet_is_not_made(examine, tmp_path):
    found = examine(tmp_path / "new" / "state")
    assert found["state folder"].status == "ok"
    assert not (tmp_path / "new").exists()


def test_a_file_in_its_place(examine, tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        finding = examine(place)["state folder"]
        assert finding.status == "fail"
        assert finding.advice


def test_an_empty_one_is_well(examine):
    found = examine()
    assert {name: finding.status for name, finding in found.items()} == {
        "state folder": "ok",
        "state folder's disk": "ok",
        "journals": "ok",
    }


def test_journals_may_become_larger_than_the_disk(examine):
    assert examine(JOURNAL_MAX_MB=1_000_000, GATEWAY_WORKERS=64)["state folder's disk"].status == "warn"


async def test_journals_that_nobody_stores(examine, tmp_path):
    journal = Journal(tmp_path / "journal" / NAME, load_settings().journal)
    await journal.start()
    assert journal.promise()
    journal.append(END, record())
    await journal.stop()
    finding = examine()["journals"]
    assert (finding.status, "1 of ended ones" in finding.detail) == ("warn", True)

    with (tmp_path / "journal" / "ingester.held").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert examine()["journals"].status == "ok"


async def test_a_journal_of_another_version_and_rejected_rows(examine, tmp_path):
    journal = Journal(tmp_path / "journal" / NAME, load_settings().journal)
    await journal.start()
    await journal.stop()
    segment = tmp_path / "journal" / NAME / "00000001.seg"
    content = bytearray(segment.read_bytes())
    content[8] += 1
    segment.write_bytes(content)
    (tmp_path / "journal" / "rejected.jsonl").write_text("{}\n{}\n")
    found = examine()
    assert "another version" in found["journals"].detail
    assert found["rejected rows"].detail.startswith("2 in ")

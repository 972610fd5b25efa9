import asyncio
import resource
from collections import Counter

import pytest

from domain.journal.journal import RESERVED, Journal
from domain.journal.reading import open_journals
from domain.journal.records import BEGIN, END, MOST_BEGIN, MOST_END
from domain.settings import JournalSettings
from tests.deadlines import until

MEBIBYTE = 1024 * 1024


def payload(number: int, length: int = 300) -> bytes:
    return number.to_bytes(16, "big") + b"x" * (length - 16)


def numbers(folder, kind: int = END) -> list[int]:
    return [
        int.from_bytes(record[:16], "big")
        for journal in open_journals(folder)
        for _, _, found, record in journal.read_from(0, 0)
        if found == kind
    ]


async def test_every_promise_can_be_kept_at_its_longest(tmp_path, journal_in):
    journal = await journal_in(tmp_path, max_mb=16, segment_mb=1)
    promised = 0
    while journal.promise():
        promised += 1
    assert journal.full
    assert promised * RESERVED > 14 * MEBIBYTE
    for number in range(promised):
        journal.append(BEGIN, payload(number, MOST_BEGIN))
        journal.append(END, payload(number, MOST_END))
    assert numbers(tmp_path) == numbers(tmp_path, BEGIN) == list(range(promised))
    assert journal.status().open == 0
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.seg")) <= 16 * MEBIBYTE


async def test_a_full_journal_says_so_and_goes_on_when_room_is_back(tmp_path, journal_in, caplog):
    journal = await journal_in(tmp_path, max_mb=16, segment_mb=1)
    written = 0
    while journal.promise():
        journal.append(END, payload(written))
        written += 1
    assert journal.full
    assert journal.status().refused == 1
    assert "JOURNAL_MAX_MB" in journal.status().fault
    assert "JOURNAL FULL" in caplog.text
    assert numbers(tmp_path) == list(range(written))
    (folder,) = open_journals(tmp_path)
    folder.delete_segments_below(10)
    await until(lambda: not journal.full)
    assert journal.promise()
    journal.append(END, payload(written))
    assert numbers(tmp_path)[-1] == written
    assert caplog.text.count("JOURNAL FULL") == 1
    assert "room again" in caplog.text


async def test_what_ends_gives_its_promise_back(tmp_path, journal_in):
    journal = await journal_in(tmp_path, max_mb=16, segment_mb=1)
    while journal.promise():
        pass
    assert not journal.promise()
    for number in range(100):
        journal.append(END, payload(number))
    assert journal.promise()
    await until(lambda: not journal.full)


async def test_a_disk_quota_stops_admission_and_loses_nothing(tmp_path, journal_in):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = await journal_in(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, before[1]))
    written = 0
    try:
        while journal.promise():
            journal.append(END, payload(written))
            written += 1
        assert journal.full
        assert "no room on the disk" in journal.status().fault
        assert not list(tmp_path.rglob("*.new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await until(lambda: not journal.full)
    assert journal.promise()
    assert numbers(tmp_path) == list(range(written))


async def test_without_any_room_at_first_it_starts_full(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    journal = Journal(tmp_path / ("a" * 32), JournalSettings(segment_mb=1))
    try:
        await journal.start()
        assert journal.full
        assert not journal.promise()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await until(lambda: not journal.full)
    assert journal.promise()
    journal.append(END, payload(1))
    assert numbers(tmp_path) == [1]
    await journal.stop()


async def test_begins_of_long_answers_move_on_so_that_segments_can_go(tmp_path, journal_in):
    journal = await journal_in(tmp_path, max_mb=64)
    for number in range(50):
        assert journal.promise()
        journal.append(BEGIN, payload(number))
    for number in range(20_000):
        assert journal.promise()
        journal.append(END, payload(1_000 + number))
    assert journal.status().begun == 50
    await until(lambda: min(last_places(tmp_path).values()) >= journal.status().segment - 4)
    (folder,) = open_journals(tmp_path)
    folder.delete_segments_below(min(last_places(tmp_path).values()))
    assert set(numbers(tmp_path, BEGIN)) == set(range(50))
    for number in range(50):
        journal.append(END, payload(number))
    assert journal.status().begun == journal.status().open == 0


def last_places(folder) -> dict[bytes, int]:
    """The last segment of each BEGIN."""
    (journal,) = open_journals(folder)
    return {record[:16]: segment for segment, _, kind, record in journal.read_from(0, 0) if kind == BEGIN}


async def test_repeating_begins_does_not_feed_on_itself(tmp_path, journal_in):
    journal = await journal_in(tmp_path, max_mb=64)
    for number in range(2_000):
        assert journal.promise()
        journal.append(BEGIN, payload(number, MOST_BEGIN))
    place = (journal.status().segment, journal.status().position)
    for _ in range(10):
        journal._carry()
    assert (journal.status().segment, journal.status().position) == place
    assert max(Counter(numbers(tmp_path, BEGIN)).values()) == 1


async def test_it_is_forced_to_the_disk_by_the_setting(tmp_path, journal_in, monkeypatch):
    import os

    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), fsync(descriptor)))
    journal = await journal_in(tmp_path, fsync_ms=1)
    assert journal.promise()
    journal.append(END, payload(1))
    await until(lambda: synced)
    for number in range(10_000):
        assert journal.promise()
        journal.append(END, payload(number))
    await until(lambda: len(journal._unsynced) == 1)
    assert not journal.status().fault


async def test_nothing_is_forced_when_that_is_off_and_old_segments_are_let_go(tmp_path, journal_in):
    journal = await journal_in(tmp_path, fsync_ms=0)
    for number in range(10_000):
        assert journal.promise()
        journal.append(END, payload(number))
    await until(lambda: len(journal._unsynced) == 1)


async def test_a_record_after_the_end_is_said_to_be_lost(tmp_path, journal_in, caplog):
    journal = await journal_in(tmp_path)
    assert journal.promise()
    await journal.stop()
    journal.append(END, payload(1))
    assert "is lost" in caplog.text


async def test_room_is_made_ahead_of_need(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    for number in range(2_000):
        assert journal.promise()
        journal.append(END, payload(number))
    await until(lambda: journal.status().ready == 1)
    assert journal.status().segment == 1
    await asyncio.sleep(0)


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        await Journal(tmp_path / "file" / ("a" * 32), JournalSettings()).start()

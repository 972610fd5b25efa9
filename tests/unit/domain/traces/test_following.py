"""Journals on a disk, followed beside whoever deletes them."""

import asyncio
import secrets
from pathlib import Path
from uuid import uuid4

import pytest

from domain.journal.journal import Journal
from domain.journal.reading import open_journals
from domain.journal.records import BEGIN, END, unpack
from domain.journal.trace_marks import marked
from domain.settings import JournalSettings
from domain.traces.following import Follower, Found
from tests.journals import record


def sampled(**changes) -> bytes:
    return record(trace_id=marked(secrets.token_hex(16).encode(), 1_000), **changes)


@pytest.fixture
async def journal(tmp_path: Path):
    made = Journal(tmp_path / uuid4().hex, JournalSettings(segment_mb=1, max_mb=16))
    await made.start()
    yield made
    await made.stop()


class Reader:
    """A follower and what it gave."""

    def __init__(self, folder: Path) -> None:
        self.follower = Follower(folder)
        self.follower.begin()
        self.found: list[Found] = []

    def read(self) -> list[bytes]:
        before = len(self.found)
        self.follower.adopt()
        while self.follower.read(self.found.append):
            pass
        return [found.record for found in self.found[before:]]


def put(journal: Journal, *records: bytes, kind: int = END) -> list[bytes]:
    for one in records:
        journal.promise()
        journal.append(kind, one)
    return list(records)


async def test_only_sampled_requests_are_given_and_each_once(tmp_path, journal):
    reader = Reader(tmp_path)
    assert reader.read() == []
    first = put(journal, sampled())
    put(journal, record(), record(trace_id=b""))
    assert reader.read() == first
    assert reader.read() == []
    second = put(journal, sampled(), sampled())
    assert reader.read() == second
    reader.follower.close()


async def test_a_request_that_began_is_given_with_its_end_or_cut_when_its_worker_is_dead(tmp_path, journal):
    reader = Reader(tmp_path)
    ended, cut = sampled(), sampled()
    put(journal, ended, cut, record(), kind=BEGIN)
    assert reader.read() == []
    journal.append(END, ended)
    assert reader.read() == [ended]
    assert not reader.follower.is_over()
    await journal.stop()
    (row,) = reader.read()
    assert (unpack(row).id, unpack(row).outcome) == (unpack(cut).id, "cut")
    assert reader.follower.is_over()


async def test_segments_that_were_deleted_meanwhile_are_read(tmp_path, journal):
    reader = Reader(tmp_path)
    reader.read()
    written: list[bytes] = []
    for _ in range(40):
        written += put(journal, *(sampled(path=b"/" + b"x" * 900) for _ in range(100)))
        # As the tracer does it: looked at often, but read only in the end.
        for followed in reader.follower._followed.values():
            followed.journal.hold(0)
        await asyncio.sleep(0)
    (folder,) = open_journals(tmp_path)
    assert folder.delete_segments_below(3) == 2
    await journal.stop()
    folder.delete()
    assert reader.read() == written
    assert reader.follower.is_over()
    assert reader.follower.missed == 0
    reader.follower.adopt()
    assert reader.follower._followed == {}, "what is gone and read is forgotten"


async def test_the_next_process_goes_on_where_the_collector_was_and_not_further(tmp_path, journal):
    reader = Reader(tmp_path)
    began = sampled()
    put(journal, began, kind=BEGIN)
    records = put(journal, *(sampled() for _ in range(5)))
    reader.read()
    reader.follower.save(reader.found[3:])
    reader.follower.close()
    second = Reader(tmp_path)
    assert second.read() == records[3:], "what was not settled"
    second.follower.save([])
    third = Reader(tmp_path)
    assert third.read() == []
    journal.append(END, began)
    assert third.read() == [began]
    third.follower.save([])
    await journal.stop()
    assert third.read() == []
    third.follower.save([])
    assert Reader(tmp_path).read() == [], "a dead journal that waits for its ingester"


async def test_saving_while_it_reads_again_does_not_go_back(tmp_path, journal):
    put(journal, sampled())
    reader = Reader(tmp_path)
    reader.read()
    reader.follower.save([])
    second = Reader(tmp_path)
    second.follower.adopt()
    second.follower.save([])
    second.follower.close()
    assert Reader(tmp_path).read() == []


async def test_a_successor_that_stood_by_misses_nothing_that_was_deleted_meanwhile(tmp_path, journal):
    first, successor = Reader(tmp_path), Follower(tmp_path)
    settled = put(journal, sampled())
    assert first.read() == settled
    successor.stand_by()
    late = put(journal, sampled(), sampled())
    first.follower.save([])
    first.follower.close()
    await journal.stop()
    open_journals(tmp_path)[0].delete()
    found: list[Found] = []
    successor.begin()
    while successor.read(found.append):
        pass
    assert [one.record for one in found] == late
    assert successor.is_over()


async def test_what_was_deleted_before_it_was_seen_is_counted(tmp_path, journal):
    reader = Reader(tmp_path)
    put(journal, sampled())
    reader.read()
    reader.follower.save([])
    reader.follower.close()
    while len([number for number in open_journals(tmp_path)[0].segments() if number > 1]) < 4:
        put(journal, *(sampled(path=b"/" + b"x" * 1_900) for _ in range(100)))
        await asyncio.sleep(0)
    open_journals(tmp_path)[0].delete_segments_below(4)
    second = Reader(tmp_path)
    second.read()
    assert second.follower.missed == 2


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"x": 1}', '{"00000000000000000000000000000001": ["a", 1]}'])
async def test_a_broken_file_of_positions_is_none(tmp_path, journal, broken):
    records = put(journal, sampled())
    (tmp_path / "traces.json").write_text(broken)
    assert Reader(tmp_path).read() == records

from itertools import pairwise

import pytest

from domain.journal.reading import JournalFolder, open_journals
from domain.journal.records import BEGIN, END
from domain.journal.segments import HEADER_BYTES, UnknownFormat, segment_path


def payload(number: int, length: int = 300) -> bytes:
    return number.to_bytes(16, "big") + bytes([number % 255 + 1]) * (length - 16)


def put(journal, number: int, length: int = 300) -> bytes:
    record = payload(number, length)
    assert journal.promise()
    journal.append(END, record)
    return record


def read(folder: JournalFolder, segment: int = 0, position: int = 0) -> list[bytes]:
    return [record for _, _, _, record in folder.read_from(segment, position)]


async def test_what_was_appended_is_read_in_order_with_places_to_resume_from(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    written = [put(journal, number, 100 + number % 900) for number in range(5_000)]
    (folder,) = open_journals(tmp_path)
    found = list(folder.read_from(0, 0))
    assert [record for _, _, _, record in found] == written
    assert {kind for _, _, kind, _ in found} == {END}
    assert all(before[:2] < after[:2] for before, after in pairwise(found))
    assert found[-1][0] > 1
    for place in (0, 1, 2_500, 4_998, 4_999):
        assert read(folder, *found[place][:2]) == written[place + 1 :]
    written.append(put(journal, 5_000))
    assert read(folder, *found[-1][:2]) == written[-1:]
    assert not folder.tears


async def test_a_journal_is_dead_when_its_writer_has_let_go(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    put(journal, 1)
    (folder,) = open_journals(tmp_path)
    assert not folder.is_dead()
    await journal.stop()
    assert folder.is_dead()
    assert read(folder) == [payload(1)]
    assert folder.segments() == [1]
    assert not folder.tears
    folder.delete()
    assert open_journals(tmp_path) == []
    assert not folder.path.exists()


async def test_journals_of_several_workers_do_not_mix(tmp_path, journal_in):
    journals = [await journal_in(tmp_path) for _ in range(3)]
    for number in range(300):
        put(journals[number % 3], number)
    folders = open_journals(tmp_path)
    assert len({folder.id for folder in folders}) == 3
    everything = [read(folder) for folder in folders]
    assert sorted(map(len, everything)) == [100, 100, 100]
    assert sorted(record for records in everything for record in records) == [payload(n) for n in range(300)]


async def test_deleted_segments_are_passed_over(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    for number in range(10_000):
        put(journal, number)
    (folder,) = open_journals(tmp_path)
    everything = list(folder.read_from(0, 0))
    assert folder.delete_segments_below(3) == 2
    rest = [found for found in everything if found[0] >= 3]
    assert list(folder.read_from(0, 0)) == rest
    assert list(folder.read_from(1, 4_096)) == rest


async def test_a_segment_of_another_format_is_recognised_and_left_alone(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    put(journal, 1)
    await journal.stop()
    (folder,) = open_journals(tmp_path)
    file = segment_path(folder.path, 1)
    data = bytearray(file.read_bytes())
    data[8:10] = (2).to_bytes(2, "little")
    file.write_bytes(data)
    with pytest.raises(UnknownFormat, match="format version 2"):
        read(folder)
    assert file.read_bytes() == data


def test_what_is_no_journal_is_not_one(tmp_path):
    assert open_journals(tmp_path / "absent") == []
    (tmp_path / "ingester.held").touch()
    (tmp_path / "short").mkdir()
    (tmp_path / ("g" * 32)).mkdir()
    assert open_journals(tmp_path) == []


@pytest.fixture
async def dead(tmp_path, journal_in):
    """A dead journal of several segments, and where each record ends."""
    journal = await journal_in(tmp_path)
    for number in range(10_000):
        put(journal, number)
    await journal.stop()
    (folder,) = open_journals(tmp_path)
    return folder, list(folder.read_from(0, 0))


def damage(folder: JournalFolder, segment: int, start: int, data: bytes) -> None:
    with segment_path(folder.path, segment).open("r+b") as file:
        file.seek(start)
        file.write(data)


def outside(places, segment: int, start: int) -> list[bytes]:
    """Records that are not in `segment` behind `start`."""
    return [record for number, behind, _, record in places if number != segment or behind <= start]


@pytest.mark.parametrize("filling", [b"\0" * 4_096, b"\xa5" * 4_096, bytes(range(256)) * 16])
@pytest.mark.parametrize("start", [4_096, 40_960, 524_288])
async def test_a_hole_of_a_power_cut_never_yields_a_wrong_record(dead, start, filling):
    folder, places = dead
    damage(folder, 2, start, filling)
    assert read(folder) == outside(places, 2, start)
    (tear,) = folder.tears
    assert tear.segment == 2
    assert tear.lost
    read(folder)
    assert len(folder.tears) == 1


async def test_a_garbled_tail_ends_the_journal(dead):
    folder, places = dead
    segment, behind, *_ = places[-1]
    damage(folder, segment, behind - 100, b"\xff" * 50)
    assert read(folder) == [found[3] for found in places[:-1]]
    assert [tear.lost for tear in folder.tears] == [True]


@pytest.mark.parametrize("byte", [0, 1, 3, 5, 8, 24, 150, 307, 308, 311])
async def test_any_changed_byte_is_noticed(dead, byte):
    folder, places = dead
    segment, behind, _, _ = places[-2]
    begin = behind - 312
    assert begin == places[-3][1]
    data = segment_path(folder.path, segment).read_bytes()
    if byte < 308:
        damage(folder, segment, begin + byte, bytes([data[begin + byte] ^ 0x41]))
    assert read(folder) == [found[3] for found in places[:-2]] + ([] if byte < 308 else [f[3] for f in places[-2:]])


async def test_a_lost_header_loses_its_segment_only(dead):
    folder, places = dead
    damage(folder, 2, 0, bytes(HEADER_BYTES))
    assert read(folder) == outside(places, 2, 0)
    assert [(tear.segment, tear.lost) for tear in folder.tears] == [(2, True)]


async def test_a_frame_copied_from_another_segment_is_not_believed(dead):
    folder, _ = dead
    whole = segment_path(folder.path, 1).read_bytes()
    damage(folder, 2, HEADER_BYTES, whole[HEADER_BYTES : HEADER_BYTES + 5_000])
    assert not [found for found in folder.read_from(0, 0) if found[0] == 2]


async def test_a_begin_is_kept_apart_from_an_end(tmp_path, journal_in):
    journal = await journal_in(tmp_path)
    assert journal.promise()
    journal.append(BEGIN, payload(7))
    (folder,) = open_journals(tmp_path)
    assert [kind for _, _, kind, _ in folder.read_from(0, 0)] == [BEGIN]
    journal.append(END, payload(7))
    assert [kind for _, _, kind, _ in folder.read_from(0, 0)] == [BEGIN, END]

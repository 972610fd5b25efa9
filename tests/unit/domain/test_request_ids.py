from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.request_ids import new_request_id, time_of


def test_ids_are_version_7_and_sort_by_time():
    ids = [new_request_id() for _ in range(1_000)]
    assert {made.version for made in ids} == {7}
    assert {made.variant for made in ids} == {"specified in RFC 4122"}
    assert len(set(ids)) == 1_000
    assert ids[0].int < ids[-1].int


def test_an_id_survives_text_and_tells_its_time():
    made = new_request_id()
    assert UUID(str(made)) == made
    assert abs(time_of(made) - datetime.now(UTC)) < timedelta(seconds=2)


def test_another_version_tells_no_time():
    assert time_of(uuid4()) is None

import pytest

from domain.request_ids import new_raw_id
from gateway.tracing import continued

ID = new_raw_id()
GOOD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_valid_trace_goes_on_with_a_span_of_ours():
    ours, trace, goes_on = continued(GOOD, ID)
    assert goes_on
    assert trace == GOOD[3:35]
    assert ours.startswith(b"00-" + trace)
    assert ours.endswith(b"-01")
    assert GOOD[36:52] not in ours


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b"",
        GOOD.upper(),
        b"ff" + GOOD[2:],
        GOOD + b"-x",
        GOOD[:3] + b"0" * 32 + GOOD[35:],
        GOOD[:36] + b"0" * 16 + GOOD[52:],
        b"x" * 55,
    ],
)
def test_anything_else_begins_a_new_trace(bad):
    ours, trace, goes_on = continued(bad, ID)
    assert not goes_on
    assert len(ours) == 55
    assert trace == ID.hex().encode()


def test_a_later_version_may_be_longer():
    assert continued(b"01" + GOOD[2:] + b"-more", ID)[2]

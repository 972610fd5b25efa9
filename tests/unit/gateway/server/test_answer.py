"""How answers are framed, on a connection that only remembers."""

import pytest

from gateway.server.answer import Answer


class Remembering:
    """A connection's end without a connection."""

    def __init__(self, *, stays: bool = True) -> None:
        self.sent, self.stays, self.ends = b"", stays, []

    def write(self, data):
        self.sent += data

    def may_stay_open(self):
        return self.stays

    def answered(self, *, stay_open):
        self.ends.append(("answered", stay_open))

    def cut(self, *, reset):
        self.ends.append(("cut", reset))


def answered(*chunks, status=200, headers=(), length=None, head_only=False, http10=False, stays=True):
    end = Remembering(stays=stays)
    answer = Answer(end, head_only=head_only, http10=http10)
    answer.begin(status, list(headers), length)
    for chunk in chunks:
        answer.data(chunk)
    answer.end()
    return end


def test_a_known_length_is_announced():
    end = answered(b"ab", b"c", length=3, headers=[(b"x-a", b"b")])
    assert end.sent == b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\n\r\nabc"
    assert end.ends == [("answered", True)]


def test_an_unknown_length_is_chunked_and_empty_chunks_are_none():
    assert answered(b"ab", b"", b"c").sent.endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


def test_an_old_client_reads_until_the_close():
    end = answered(b"ab", http10=True)
    assert end.sent == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab"
    assert end.ends == [("answered", False)]


@pytest.mark.parametrize(("status", "head_only", "kept"), [(200, True, True), (304, False, True), (204, False, False)])
def test_no_body_goes_where_none_belongs(status, head_only, kept):
    end = answered(b"dropped", status=status, head_only=head_only, length=7)
    assert end.sent.endswith(b"\r\n\r\n")
    assert (b"content-length: 7" in end.sent) is kept
    assert end.ends == [("answered", True)]


def test_a_short_body_is_cut_and_a_long_one_is_a_fault():
    assert answered(b"ab", length=3).ends == [("cut", False)]
    with pytest.raises(ValueError, match="longer"):
        answered(b"abcd", length=3)


@pytest.mark.parametrize(("http10", "reset"), [(False, False), (True, True)])
def test_an_abort_is_visible(http10, reset):
    end = Remembering()
    answer = Answer(end, head_only=False, http10=http10)
    answer.begin(200, [], None)
    answer.data(b"x")
    answer.abort()
    answer.data(b"y")
    answer.end()
    assert end.ends == [("cut", reset)]
    assert not end.sent.endswith(b"0\r\n\r\n")
    assert b"y" not in end.sent


@pytest.mark.parametrize("value", [b"a\r\nX-Injected: yes", b"a\nb", b"a\rb", b"a\x00b", b"a\x7fb"])
def test_no_field_of_ours_can_break_the_head(value):
    with pytest.raises(ValueError, match="control byte"):
        answered(headers=[(b"x-organization", value)])
    with pytest.raises(ValueError, match="control byte"):
        answered(headers=[(value, b"x")])


def test_interim_answers_come_before_and_never_to_old_clients():
    for http10, expected in ((False, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), (True, b"")):
        end = Remembering()
        answer = Answer(end, head_only=False, http10=http10)
        answer.interim(103, [(b"link", b"</a>")])
        assert end.sent == expected
        answer.begin(200, [], 0)
        before = end.sent
        answer.interim(103, [])
        assert end.sent == before

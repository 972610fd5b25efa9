"""One answer on a client connection: status line, fields, framing. Both doors write through it."""

import http
from typing import Protocol

from gateway.ends import Headers
from gateway.server.guard import PLAIN

BODILESS = frozenset((204, 304))


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())


_STATUS_LINES = {status: _status_line(status) for status in range(100, 1000)}

_NONE, _LENGTH, _CHUNKED, _UNTIL_CLOSE = range(4)


class AnswerEnd(Protocol):
    """The connection that an answer is written to."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def may_stay_open(self) -> bool:
        """Whether another request may follow this answer on the connection, as far as known now."""

    def answered(self, *, stay_open: bool) -> None:
        """The answer is whole."""

    def cut(self, *, reset: bool) -> None:
        """The answer can't be finished; with `reset` a mere close would look like its end."""


class Answer:
    """Frames one answer. Calls after `end` or `abort`, or after the client is gone, do nothing."""

    __slots__ = ("_connection", "_framing", "_left", "_stay_open", "_with_body", "begun", "done", "http10")

    def __init__(self, connection: AnswerEnd, *, head_only: bool, http10: bool) -> None:
        """`head_only`: the request is a HEAD. `http10`: the client understands neither chunks nor interim answers."""
        self._connection = connection
        self._with_body = not head_only
        self._framing = _NONE
        self._left = 0
        self._stay_open = False
        self.http10 = http10
        self.begun = self.done = False

    def interim(self, status: int, headers: Headers) -> None:
        """Send a 1xx answer, unless it is too late or the client is too old for one."""
        if not self.begun and not self.done and not self.http10:
            self._connection.write(head_block(status, headers, []))

    def begin(self, status: int, headers: Headers, length: int | None, *, close: bool = False) -> None:
        """Send the head, once. `headers` hold no framing fields; `length` None is unknown.

        On HEAD and 304 a known `length` is announced and no body is sent. Raises ValueError if a field would break
        the head in two.
        """
        if self.done:
            return
        bodiless = status in BODILESS
        self._with_body = self._with_body and not bodiless
        framing: list[bytes] = []
        if length is not None:
            if status != 204:
                framing.append(b"content-length: %d\r\n" % length)
            self._framing, self._left = (_LENGTH, length) if self._with_body else (_NONE, 0)
        elif not self._with_body:
            self._framing = _NONE
        elif self.http10:
            self._framing, close = _UNTIL_CLOSE, True
        else:
            self._framing = _CHUNKED
            framing.append(b"transfer-encoding: chunked\r\n")
        self._stay_open = not close and self._connection.may_stay_open()
        if not self._stay_open:
            framing.append(b"connection: close\r\n")
        block = head_block(status, headers, framing)
        self.begun = True
        self._connection.write(block)

    def data(self, chunk: bytes) -> None:
        """Send body bytes; dropped where no body belongs. Raises ValueError beyond the announced length."""
        if self.done or not chunk or not self._with_body:
            return
        if self._framing == _CHUNKED:
            self._connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            return
        if self._framing == _LENGTH:
            if len(chunk) > self._left:
                raise ValueError("the answer's body is longer than its length")
            self._left -= len(chunk)
        self._connection.write(chunk)

    def end(self) -> None:
        """The body is whole. A short one is cut visibly."""
        if self.done:
            return
        if self._left:
            self.abort()
            return
        self.done = True
        if self._framing == _CHUNKED:
            self._connection.write(b"0\r\n\r\n")
        self._connection.answered(stay_open=self._stay_open)

    def abort(self) -> None:
        """Cut the answer so that the client sees it: no last chunk, a short body, a reset, or no answer at all."""
        if self.done:
            return
        self.done = True
        self._connection.cut(reset=self._framing == _UNTIL_CLOSE)


def head_block(status: int, headers: Headers, framing: list[bytes]) -> bytes:
    """A whole head with its empty line; `framing` are finished lines. Raises ValueError if a field would break it in two."""
    parts = [_STATUS_LINES[status]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts += framing
    parts.append(b"\r\n")
    block = b"".join(parts)
    # Values come from upstreams and from our own tables; one with a line break would begin a field of its own.
    if len(block.translate(None, PLAIN)) != 2 * (2 + len(headers) + len(framing)):
        raise ValueError("an answer's header field has a control byte")
    return block

"""A head that comes in pieces: bounded, and given up as soon as it can't become one."""

from typing import Final

from gateway.upstream.answer_head import BrokenAnswer

HEAD_END: Final = b"\r\n\r\n"


def join_head(partial: bytearray, data: bytes, limit: int) -> bytes | None:
    """Add `data` to `partial`; once the head's end has come, return all of it and leave `partial` empty.

    Each byte is looked at once, however slowly they come. Raises BrokenAnswer for what is not HTTP/1, has a bare LF,
    or grows over `limit` bytes.
    """
    seen = len(partial)
    partial += data
    if not partial.startswith(b"HTTP/1."[: len(partial)]):
        raise BrokenAnswer("not a status line")
    end = partial.find(HEAD_END, max(0, seen - 3))
    if end >= 0:
        whole = bytes(partial)
        partial.clear()
        return whole
    if len(partial) > limit:
        raise BrokenAnswer("head too large")
    fresh = partial[max(0, seen - 1) :]
    already_checked = fresh.startswith(b"\n") if seen else False
    if fresh.count(b"\n") - already_checked != fresh.count(b"\r\n"):
        raise BrokenAnswer("bare LF in the head")
    return None

"""Heads of answers that were read before: the same bytes mean the same, so they are parsed once.

An upstream's heads repeat until its `Date` moves on. A head that no other answer will have (an id in a field) costs one
entry until the next clearing, and nothing else.
"""

from typing import Final

from gateway.upstream.answer_head import ParsedHead, parse_head

MAX_HEADS: Final = 1_024
MAX_BYTES: Final = 1_024
MAX_FIELDS: Final = 32
"""Together they bound the memory, whatever upstreams send, to some 6 MB; ordinary heads take a quarter of that."""

Heads = dict[bytes, ParsedHead]


def learn(heads: Heads, raw: bytes) -> ParsedHead:
    """Parse a head, given without its final empty line, and remember it if it is final. Raises BrokenAnswer.

    All are forgotten at once when there are too many: within a second or two the `Date` would make them useless anyway.
    """
    head = parse_head(raw)
    if head.status >= 200 and len(raw) <= MAX_BYTES and len(head.headers) <= MAX_FIELDS:
        if len(heads) >= MAX_HEADS:
            heads.clear()
        heads[raw] = head
    return head

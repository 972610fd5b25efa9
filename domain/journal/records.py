"""One record of the journal: a row of the request log as bytes, packed in microseconds and read back as a tuple.

Layout, in the byte order of the machine: the fixed part `_FIXED`, then the texts one behind the other, their lengths
standing in the fixed part. The 64 bytes of `DIMENSIONS` are organization, key, service and operation, 16 bytes each,
zero where there is none: what rollups fold by can be cut out without reading the rest.

A record is whole and bounded: END at most MOST_END bytes, BEGIN at most MOST_BEGIN. Longer texts are cut. Texts are
scrubbed by who packs (G7); bytes that are no UTF-8, and NUL, become U+FFFD when they are read.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto

END, BEGIN = 1, 2
"""Kinds. END is the final record of a request. BEGIN is what was known when its answer began to stream: if no END of the
same id follows and the writer is dead, it is the row (its outcome is `cut`). BEGIN may stand there several times, always
before END: the writer repeats it so that old segments can go."""

MOST_END, MOST_BEGIN = 6_136, 2_040
TRACE_ID_LENGTH = 32
"""Of the trace's text the request log takes so much; what follows is `domain.journal.trace_marks`'s."""
DIMENSIONS = slice(16, 80)
NO_DIMENSIONS = bytes(64)
OUTCOMES = ("served", "refused", "failed", "cut", "gone")
OUTCOME_CODE = {outcome: code for code, outcome in enumerate(OUTCOMES)}

_FIXED = struct.Struct("=16s64sqqqqqqHBBHHHHBBBB")
FIXED_BYTES = _FIXED.size
"""Behind so many bytes the texts begin: method, path, query, user agent, decision, and the rest."""
_KNOWN = struct.Struct("=16s32s32sqqqqqqHB5s2sHBBBB")
"""The same bytes as `_FIXED`, with the lengths of a `LinePart` in one, as those of a `FieldsPart`."""
_LINE_LENGTHS, _FIELDS_LENGTH = struct.Struct("=BHH"), struct.Struct("=H")
_uuid = pgproto.UUID
"""A UUID, made in a fifth of the time."""
_pack_known = _KNOWN.pack
_pack, _fixed, _join = _FIXED.pack, _FIXED.unpack_from, b"".join
_new, _moment = tuple.__new__, datetime.fromtimestamp
_NO_ID = bytes(16)
_BIGGEST = 2**63 - 1
_END_BOUNDS = (32, 2_048, 2_048, 64, 128, 64, 512, 64)
_BEGIN_BOUNDS = (32, 768, 256, 64, 128, 64, 128, 64)


class Recorded(NamedTuple):
    """A record read back: the columns of request_log by their names.

    Ids are `asyncpg.pgproto.UUID`, which are UUIDs. `client` is text. `decision` is for `domain.journal.decision`.
    """

    id: UUID
    at: datetime
    organization_id: UUID | None
    key_id: UUID | None
    service_id: UUID | None
    operation_id: UUID | None
    method: str
    path: str
    query: str
    status: int
    outcome: str
    refusal: str | None
    limit_name: str | None
    upstream_us: int | None
    total_us: int
    bytes_in: int
    bytes_out: int
    client: str | None
    user_agent: str
    cost_micro: int
    trace_id: str | None
    decision: bytes | None


class LinePart(NamedTuple):
    """What a request line contributes to its record, joined and bounded: the same for every request with that line.

    `target` are the 32 bytes of service and operation.
    """

    target: bytes
    lengths: bytes
    texts: bytes


class FieldsPart(NamedTuple):
    """What fields and peer contribute. `caller` are the 32 bytes of organization and key."""

    caller: bytes
    length: bytes
    user_agent: bytes
    client: bytes


def line_part(target: bytes, method: bytes, path: bytes, query: bytes) -> LinePart:
    """For `pack_known`. Texts are cut to their bounds."""
    method, path, query = method[:32], path[:2_048], query[:2_048]
    return LinePart(target, _LINE_LENGTHS.pack(len(method), len(path), len(query)), method + path + query)


def fields_part(caller: bytes, user_agent: bytes, client: bytes) -> FieldsPart:
    """For `pack_known`. Texts are cut to their bounds."""
    user_agent = user_agent[:512]
    return FieldsPart(caller, _FIELDS_LENGTH.pack(len(user_agent)), user_agent, client[:64])


def pack_known(
    id_: bytes,
    line: LinePart,
    fields: FieldsPart,
    at_us: int,
    total_us: int,
    upstream_us: int,
    bytes_in: int,
    bytes_out: int,
    cost_micro: int,
    status: int,
    outcome: int,
    refusal: bytes,
    limit_name: bytes,
    trace_id: bytes,
    decision: bytes,
) -> bytes:
    """`pack_end` in half of the time, for a head whose parts are made already."""
    target, lengths, texts = line
    caller, length, user_agent, client = fields
    try:
        record = (
            _pack_known(
                id_, caller, target, at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome,
                lengths, length, len(decision), len(refusal), len(limit_name), len(client), len(trace_id),
            )
            + texts + user_agent + decision + refusal + limit_name + client + trace_id
        )  # fmt: skip
    except struct.error:
        pass
    else:
        if len(record) <= MOST_END:
            return record
    method, path, query = _cut_up(texts, _LINE_LENGTHS.unpack(lengths), 0)
    return pack_end(
        id_, caller + target, at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome,
        method, path, query, refusal, limit_name, client, user_agent, trace_id, decision,
    )  # fmt: skip


def pack_end(
    id_: bytes,
    dimensions: bytes,
    at_us: int,
    total_us: int,
    upstream_us: int,
    bytes_in: int,
    bytes_out: int,
    cost_micro: int,
    status: int,
    outcome: int,
    method: bytes,
    path: bytes,
    query: bytes,
    refusal: bytes,
    limit_name: bytes,
    client: bytes,
    user_agent: bytes,
    trace_id: bytes,
    decision: bytes,
) -> bytes:
    """A record of at most MOST_END bytes; never raises for a value of its type.

    `at_us` is microseconds since 1970, `upstream_us` -1 without an upstream, `outcome` a place in OUTCOMES. Empty texts
    are read back as None, but `query` and `user_agent`.
    """
    try:
        record = _join(
            (
                _pack(
                    id_, dimensions, at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome,
                    len(method), len(path), len(query), len(user_agent), len(decision),
                    len(refusal), len(limit_name), len(client), len(trace_id),
                ),
                method, path, query, user_agent, decision, refusal, limit_name, client, trace_id,
            )
        )  # fmt: skip
    except struct.error:
        pass
    else:
        if len(record) <= MOST_END:
            return record
    numbers = (at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro)
    texts = (method, path, query, refusal, limit_name, client, user_agent, trace_id)
    return _bounded(id_, dimensions, numbers, status, outcome, texts, _END_BOUNDS, decision[: MOST_END // 6])


def shortened(record: bytes) -> bytes:
    """The same as a BEGIN: at most MOST_BEGIN bytes, the path and the query cut where they have to be."""
    if len(record) <= MOST_BEGIN:
        return record
    head, (method, path, query, user_agent, decision, refusal, limit_name, client, trace_id) = _split(record)
    texts = (method, path, query, refusal, limit_name, client, user_agent, trace_id)
    return _bounded(head[0], head[1], head[2:8], head[8], head[9], texts, _BEGIN_BOUNDS, decision[:256])


def unpack(record: bytes) -> Recorded:
    """Read a record back. Raises ValueError if it is none; that cannot be seen behind a CRC that holds."""
    head, texts = _split(record)
    id_, dimensions, at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome, *_ = head
    method, path, query, user_agent, _, refusal, limit_name, client, trace_id = map(_text, texts)
    return _new(
        Recorded,
        (
            _uuid(id_),
            _moment(at_us / 1_000_000, UTC),
            *_ids(dimensions),
            method,
            path,
            query,
            status,
            OUTCOMES[outcome],
            refusal or None,
            limit_name or None,
            upstream_us if upstream_us >= 0 else None,
            total_us,
            bytes_in,
            bytes_out,
            client or None,
            user_agent,
            cost_micro,
            trace_id[:TRACE_ID_LENGTH] or None,
            texts[4] or None,
        ),
    )


def refusal_texts(record: bytes) -> tuple[bytes, bytes]:
    """Code of the refusal and name of the limit of a record that packing made; empty where there is none."""
    *_, refusal, limit_name, client, trace_id = _fixed(record)
    begin = len(record) - trace_id - client - limit_name - refusal
    return record[begin : begin + refusal], record[begin + refusal : begin + refusal + limit_name]


def _split(record: bytes) -> tuple[tuple[Any, ...], list[bytes]]:
    if len(record) < _FIXED.size:
        raise ValueError("a record is shorter than its fixed part")
    head = _fixed(record)
    if _FIXED.size + sum(head[10:]) != len(record) or head[9] >= len(OUTCOMES):
        raise ValueError("a record does not agree with its lengths")
    return head, _cut_up(record, head[10:], _FIXED.size)


def _cut_up(joined: bytes, lengths: Sequence[int], position: int) -> list[bytes]:
    texts = []
    for length in lengths:
        behind = position + length
        texts.append(joined[position:behind])
        position = behind
    return texts


def _bounded(
    id_: bytes,
    dimensions: bytes,
    numbers: tuple[int, ...],
    status: int,
    outcome: int,
    texts: tuple[bytes, ...],
    bounds: tuple[int, ...],
    decision: bytes,
) -> bytes:
    """The slow way: every text within its bound, every number within its field."""
    numbers = tuple(max(-_BIGGEST, min(number, _BIGGEST)) for number in numbers)
    method, path, query, refusal, limit_name, client, user_agent, trace_id = (
        text[:bound] for text, bound in zip(texts, bounds, strict=True)
    )
    ordered = (method, path, query, user_agent, decision, refusal, limit_name, client, trace_id)
    status = max(0, min(status, 0xFFFF))
    return _join((_pack(id_, dimensions, *numbers, status, outcome, *map(len, ordered)), *ordered))


@lru_cache(maxsize=32_768)
def _ids(dimensions: bytes) -> tuple[UUID | None, ...]:
    raw = (dimensions[:16], dimensions[16:32], dimensions[32:48], dimensions[48:])
    return tuple(None if id_ == _NO_ID else _uuid(id_) for id_ in raw)


def _text(raw: bytes) -> str:
    if not raw:
        return ""
    text = raw.decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd") if "\x00" in text else text

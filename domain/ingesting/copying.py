"""Records of the journal as rows of PostgreSQL's binary COPY: bytes to bytes, with no Python object per column.

A record is about forty fields' worth of copying; what repeats from row to row (who, from which address) is encoded once
and remembered. Text of a record may be any bytes; what PostgreSQL's UTF-8 does not take becomes U+FFFD here.
"""

import ipaddress
import struct
from collections.abc import Sequence
from functools import lru_cache

from domain.journal.records import OUTCOMES, TRACE_ID_LENGTH

COLUMNS = (
    *("id", "at", "organization_id", "key_id", "service_id", "operation_id", "total_us", "upstream_us", "bytes_in"),
    *("bytes_out", "cost_micro", "status", "outcome", "method", "path", "query", "user_agent", "decision", "refusal"),
    *("limit_name", "client", "trace_id"),
)
"""The columns of request_log in the order of `encoded`. The rest have their defaults."""

COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TAIL = b"\xff\xff"

# domain.journal.records: id, dimensions, six numbers, status, outcome, lengths of the nine texts.
_RECORD = struct.Struct("=16s64sqqqqqqHBBHHHHBBBB")
_TEXTS = _RECORD.size
_ID_AND_TIME = struct.Struct(">hi16siq").pack
_NUMBERS = struct.Struct(">iqiqiqiqiqih").pack
_NUMBERS_WITHOUT_UPSTREAM = struct.Struct(">iqiiqiqiqih").pack
_TO_POSTGRES_EPOCH_US = 946_684_800_000_000
_NULL = b"\xff\xff\xff\xff"
_LENGTHS = tuple(struct.pack(">i", length) for length in range(65_536))
_OUTCOMES = tuple(_LENGTHS[len(name)] + name.encode() for name in OUTCOMES)
_NO_ID = bytes(16)
_DECISION = 4
_LONG = (1, 2, 3)
_join = b"".join


def encoded(record: bytes, *, mended: bool = False) -> bytes:
    """One record as a tuple of the columns above. Raises ValueError for a record that does not agree with itself."""
    (
        id_, dimensions, at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome,
        method, path, query, agent, decision, refusal, limit, client, trace,
    ) = _RECORD.unpack_from(record)  # fmt: skip
    path_at = _TEXTS + method
    query_at = path_at + path
    agent_at = query_at + query
    decision_at = agent_at + agent
    refusal_at = decision_at + decision
    limit_at = refusal_at + refusal
    client_at = limit_at + limit
    trace_at = client_at + client
    if trace_at + trace != len(record) or outcome >= len(_OUTCOMES):
        raise ValueError("a record does not agree with its lengths")
    if trace > TRACE_ID_LENGTH:
        # Behind it is what spans are made of.
        trace, record = TRACE_ID_LENGTH, record[: trace_at + TRACE_ID_LENGTH]
    front, back = record[_TEXTS:decision_at], record[refusal_at:]
    if not mended and (not (front.isascii() and back.isascii()) or b"\0" in front or b"\0" in back):
        return encoded(_mended(record), mended=True)
    if upstream_us < 0:
        numbers = _NUMBERS_WITHOUT_UPSTREAM(8, total_us, -1, 8, bytes_in, 8, bytes_out, 8, cost_micro, 2, status)
    else:
        numbers = _NUMBERS(8, total_us, 8, upstream_us, 8, bytes_in, 8, bytes_out, 8, cost_micro, 2, status)
    return _join(
        (
            _ID_AND_TIME(len(COLUMNS), 16, id_, 8, at_us - _TO_POSTGRES_EPOCH_US),
            _who(dimensions), numbers, _OUTCOMES[outcome],
            _LENGTHS[method], record[_TEXTS:path_at],
            _LENGTHS[path], record[path_at:query_at],
            _LENGTHS[query], record[query_at:agent_at],
            _LENGTHS[agent], record[agent_at:decision_at],
            _LENGTHS[decision] + record[decision_at:refusal_at] if decision else _NULL,
            _LENGTHS[refusal] + record[refusal_at:limit_at] if refusal else _NULL,
            _LENGTHS[limit] + record[limit_at:client_at] if limit else _NULL,
            _address(record[client_at:trace_at]),
            _LENGTHS[trace] + record[trace_at:] if trace else _NULL,
        )
    )  # fmt: skip


def copy_data(tuples: Sequence[bytes]) -> bytes:
    """All that a COPY .. (FORMAT binary) sends."""
    return _join((COPY_HEAD, *tuples, COPY_TAIL))


@lru_cache(maxsize=65_536)
def _who(dimensions: bytes) -> bytes:
    ids = (dimensions[at : at + 16] for at in range(0, 64, 16))
    return _join([_NULL if id_ == _NO_ID else _LENGTHS[16] + id_ for id_ in ids])


@lru_cache(maxsize=16_384)
def _address(text: bytes) -> bytes:
    """inet; null for what is no address, such as a Unix socket's peer. A zone (`%eth0`) is dropped: inet knows none."""
    try:
        address = ipaddress.ip_address(text.partition(b"%")[0].decode())
    except ValueError:
        return _NULL
    family, bits = (2, 32) if address.version == 4 else (3, 128)
    packed = address.packed
    return _LENGTHS[4 + len(packed)] + bytes((family, bits, 0, len(packed))) + packed


def _mended(record: bytes) -> bytes:
    """The same record with every text valid UTF-8 and without NUL."""
    fields = _RECORD.unpack_from(record)
    lengths, texts, at = fields[10:], [], _TEXTS
    for place, length in enumerate(lengths):
        text = record[at : at + length]
        at += length
        texts.append(text if place == _DECISION else _storable(text, 65_535 if place in _LONG else 255))
    return _join((_RECORD.pack(*fields[:10], *map(len, texts)), *texts))


def _storable(raw: bytes, most: int) -> bytes:
    text = raw.decode("utf-8", "replace").replace("\0", "\ufffd").encode()
    # One bad byte becomes three, which can be more than a length of the record holds.
    return text if len(text) <= most else text[:most].decode("utf-8", "ignore").encode()

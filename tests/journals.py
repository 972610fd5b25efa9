"""Records and journals for tests that need no gateway."""

import secrets
import time
from uuid import UUID

from domain.journal.records import OUTCOME_CODE, pack_end
from domain.request_ids import new_request_id

NOBODY = bytes(64)


def dimensions(*ids: UUID | None) -> bytes:
    """The 64 bytes of organization, key, service and operation; missing ones are zero."""
    return b"".join(id_.bytes if id_ else bytes(16) for id_ in (*ids, None, None, None, None)[:4])


def record(**changes) -> bytes:
    """One served request of now, as a worker writes it down."""
    values = {
        "id_": new_request_id().bytes,
        "dimensions": NOBODY,
        "at_us": time.time_ns() // 1000,
        "total_us": 1_000,
        "upstream_us": 900,
        "bytes_in": 0,
        "bytes_out": 10,
        "cost_micro": 0,
        "status": 200,
        "outcome": "served",
        "method": b"GET",
        "path": b"/proxy/items",
        "query": b"",
        "refusal": b"",
        "limit_name": b"",
        "client": b"127.0.0.1",
        "user_agent": b"test",
        "trace_id": secrets.token_hex(16).encode(),
        "decision": b"",
    } | changes
    values["outcome"] = OUTCOME_CODE.get(values["outcome"], values["outcome"])
    return pack_end(**values)

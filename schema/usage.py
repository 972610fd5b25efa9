"""What happened: request logs. The table is made by a raw migration (Piccolo knows no partitions); this is its picture.

Usage rollups and log summaries have composite primary keys, which Piccolo cannot express: the migrations alone describe
them.
"""

from enum import StrEnum

from piccolo.columns import UUID, BigInt, Bytea, Column, Date, SmallInt, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class Outcome(StrEnum):
    """Served whole; refused by us; failed upstream before its head; cut upstream after it; gone: the client left."""

    SERVED = "served"
    REFUSED = "refused"
    FAILED = "failed"
    CUT = "cut"
    GONE = "gone"


class Inet(Column):
    """An IPv4 or IPv6 address."""

    value_type = str

    def __init__(self, default: None = None, **kwargs: object) -> None:
        self.default = default
        super().__init__(default=default, **kwargs)  # type: ignore[arg-type]

    @property
    def column_type(self) -> str:
        """The type in PostgreSQL."""
        return "INET"


class RequestLog(Table, tablename="request_log"):
    """One request. Partitioned by day of `at`; the database's primary key is (id, at)."""

    id = UUID(primary_key=True, help_text="The request id, a UUID of version 7.")
    at = Timestamptz(default=None, required=True, help_text="When the exchange ended.")
    organization_id = UUID(null=True, default=None, help_text="Null: the key was not recognised.")
    key_id = UUID(null=True, default=None, help_text="The API key.")
    service_id = UUID(null=True, default=None, help_text="The service; null: no route.")
    operation_id = UUID(null=True, default=None, help_text="The operation; null: none declared.")
    method = Text(default=None, required=True, help_text="As the client sent it.")
    path = Text(default=None, required=True, help_text="Path without the query.")
    query = Text(default="", help_text="Query with secrets scrubbed.")
    status = SmallInt(default=None, required=True, help_text="Status that the client got.")
    outcome = Text(default=None, required=True, choices=Outcome, help_text="How it ended.")
    refusal = Text(null=True, default=None, help_text="Code of our refusal.")
    limit_name = Text(null=True, default=None, help_text="Which limit refused it.")
    upstream_us = BigInt(null=True, default=None, help_text="Microseconds until the upstream's head.")
    total_us = BigInt(default=None, required=True, help_text="Microseconds from first to last byte.")
    bytes_in = BigInt(default=None, required=True, help_text="Bytes of the request body.")
    bytes_out = BigInt(default=None, required=True, help_text="Bytes of the response body.")
    client = Inet(null=True, help_text="The client's address.")
    user_agent = Text(null=True, default=None, help_text="As the client sent it.")
    cost_micro = BigInt(default=0, help_text="Charged micro-credits.")
    trace_id = Text(null=True, default=None, help_text="W3C trace id.")
    created_at = Timestamptz(null=False, default=None, help_text="When it was written.")
    decision = Bytea(null=True, default=None, help_text="Decision trace; `logs explain` expands it.")

    ck_request_log_outcome = Check("outcome in ('served', 'refused', 'failed', 'cut', 'gone')")


class LogDay(Table, tablename="log_day"):
    """What became of one UTC day of request logs: summed up, and let go.

    Rows that come after their day was dropped (of a node that was away) get a table anew, and are one more `edition`.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    day = Date(default=None, required=True, help_text="The day.")
    edition = SmallInt(default=0, help_text="How often its table was dropped.")
    rows = BigInt(default=0, help_text="Rows of the present table that the summaries hold.")
    summarised_at = Timestamptz(null=True, default=None, help_text="When they were last compared; null: never.")
    dropped_at = Timestamptz(null=True, default=None, help_text="When its table was last dropped; null: never.")

    uq_log_day_day = Unique([day])
    ck_log_day_counts = Check("edition >= 0 and rows >= 0")

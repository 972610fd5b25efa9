"""What asynchronous operations have taken on: one row for each job, from its 202 to its end and after."""

from enum import StrEnum

from piccolo.columns import UUID, BigInt, Boolean, Bytea, ForeignKey, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class JobStatus(StrEnum):
    """Pending: not taken by the upstream yet. Processing: it has. The other two are for good."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class JobFailure(StrEnum):
    """Why a job failed."""

    UPSTREAM_FAILED = "upstream_failed"
    REFUSED = "refused"
    UNDELIVERABLE = "undeliverable"
    OVERDUE = "overdue"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


class AsyncJob(Table, tablename="async_job"):
    """A request that the upstream does in its own time. While it is open its price is held of the organization's credits.

    `domain.async_jobs` is the only writer.
    """

    id = UUID(primary_key=True, default=None, required=True, help_text="As the caller and the upstream know it.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was accepted.")
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    key_id = UUID(default=None, required=True, help_text="The API key that asked for it.")
    service_id = UUID(default=None, required=True, help_text="The service.")
    operation_id = UUID(default=None, required=True, help_text="The operation.")
    request_id = UUID(default=None, required=True, help_text="The request that was answered 202.")
    status = Text(default=JobStatus.PENDING, choices=JobStatus, help_text="Where it stands.")
    reason = Text(default="", help_text="Of a failed one: which kind of failure; otherwise empty.")
    error = Text(default="", help_text="Of a failed one: what the upstream, or we, say of it.")
    progress = SmallInt(default=0, help_text="Percent, as the upstream says; it never goes back.")
    message = Text(default="", help_text="What the upstream says of it.")
    deadline = Timestamptz(default=None, required=True, help_text="What is open then fails, and is not charged.")
    started_at = Timestamptz(null=True, default=None, help_text="When it was first sent upstream.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it was completed or failed.")
    price_micro = BigInt(default=0, help_text="What it costs if it is completed; held while it is open.")
    charged_micro = BigInt(default=0, help_text="What was charged.")
    counted = Boolean(default=False, help_text="Whether that stands in the sums of usage.")
    method = Text(default=None, required=True, help_text="Of the request for the upstream.")
    target = Text(default=None, required=True, help_text="Its path and query, behind the upstream's own path.")
    fields = Bytea(null=True, default=None, secret=True, help_text="Its fields, sealed. Dropped at the end.")
    body = Bytea(null=True, default=None, help_text="Its body. Dropped at the end.")
    due_at = Timestamptz(null=True, default=None, help_text="Not sent before; null: it need not be sent.")
    attempts = Integer(default=0, help_text="How often it was sent, or was about to be.")
    working = Boolean(
        default=False, help_text="Whether it may be at work upstream: it takes one of its service's places."
    )
    last_error = Text(default="", help_text="What the last attempt to send it met.")
    result_type = Text(default="", help_text="Content-Type of the result.")
    result = Bytea(null=True, default=None, help_text="What came of it; dropped after some days.")
    result_dropped_at = Timestamptz(null=True, default=None, help_text="When the result was dropped.")

    uq_async_job_request_id = Unique([request_id])
    ck_async_job_status = Check("status in ('pending', 'processing', 'completed', 'failed')")
    ck_async_job_ended_at = Check("(status in ('completed', 'failed')) = (ended_at is not null)")
    ck_async_job_reason = Check(
        "(status = 'failed') = (reason <> '') and reason in"
        " ('', 'upstream_failed', 'refused', 'undeliverable', 'overdue', 'cancelled', 'withdrawn')"
    )
    ck_async_job_progress = Check("progress between 0 and 100")
    ck_async_job_amounts = Check(
        "price_micro >= 0 and charged_micro between 0 and price_micro and (status = 'completed' or charged_micro = 0)"
    )
    ck_async_job_over = Check(
        "ended_at is null or (fields is null and body is null and due_at is null and not working)"
    )
    ck_async_job_due = Check("due_at is null or status = 'pending'")
    ck_async_job_result = Check("result is null or (status = 'completed' and result_dropped_at is null)")
    ck_async_job_texts = Check("length(error) <= 1000 and length(message) <= 500 and length(last_error) <= 500")

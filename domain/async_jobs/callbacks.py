"""What an upstream says of a job: read, checked for its signature, and applied. The order of callbacks does not matter.

Signed by Standard Webhooks with the secret of the job's service. The body names the job that it is of, so that what was
signed for one job says nothing of another.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from domain.async_jobs.ending import LONGEST_MESSAGE, Ending, Standing, completed, end, failed, said
from domain.refusals import InvalidCallback, InvalidSignature, JobOver
from domain.webhooks.signing import is_signed
from schema.async_jobs import JobFailure, JobStatus

RESULT_TYPE = "application/json"
FAILED_BY_UPSTREAM = "The service says that it failed, and does not say why."
LONGEST_ID = 255

_PROGRESS = """
update async_job set status = 'processing', due_at = null, working = true, started_at = coalesce(started_at, now()),
       message = case when $2 >= progress and $3::text is not null then $3 else message end,
       progress = greatest(progress, $2)
 where id = $1 and ended_at is null and deadline > now() returning id, status, reason, progress
"""
_MOST_OPEN_PROGRESS = 100


class Signed(NamedTuple):
    """The three fields of Standard Webhooks as they came, and when."""

    id: str
    timestamp: int
    signatures: str


class Report(NamedTuple):
    """What a callback says. `result` is JSON; None: it says none."""

    status: str
    progress: int
    message: str | None
    error: str
    result: bytes | None


def read_signed(fields: Mapping[str, str], skew_seconds: int) -> Signed:
    """The signature's fields, if they can be of now. Raises InvalidSignature, which says nothing of jobs."""
    name, moment, signatures = (fields.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not 1 <= len(name) <= LONGEST_ID or not signatures or not moment.isascii() or not moment.isdigit():
        raise InvalidSignature(internal="a callback without a signature")
    if len(moment) > 12 or abs(time.time() - int(moment)) > skew_seconds:
        raise InvalidSignature(internal="a callback of another time")
    return Signed(name, int(moment), signatures)


def require_signed(secrets: Sequence[bytes], signed: Signed, body: bytes) -> None:
    """Raise InvalidSignature unless one of the secrets has signed it. Without a secret nothing is."""
    # Who asks for a job that is not there waits as long as who signs with a wrong secret.
    known = is_signed(secrets or [bytes(32)], signed.id, signed.timestamp, body, signed.signatures)
    if not secrets or not known:
        raise InvalidSignature(internal="a callback with a wrong signature, or of no job")


def read_report(body: bytes, job_id: UUID, most_result: int) -> Report:
    """What the body says. Raises InvalidCallback, which says what to write instead."""
    try:
        given = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidCallback("The body is no JSON.") from None
    if not isinstance(given, dict):
        raise InvalidCallback("The body is a JSON object.")
    if given.get("job_id") != str(job_id):
        raise InvalidCallback("job_id is the X-PE-Job-Id of the job that the URL names.")
    status = given.get("status")
    if status not in ("processing", "completed", "failed"):
        raise InvalidCallback("status is processing, completed or failed.")
    progress = given.get("progress", 0)
    if not isinstance(progress, int) or isinstance(progress, bool) or not 0 <= progress <= _MOST_OPEN_PROGRESS:
        raise InvalidCallback("progress is a whole number from 0 to 100.")
    message, error = given.get("message"), given.get("error", "")
    if not isinstance(message, str | None) or not isinstance(error, str | None):
        raise InvalidCallback("message and error are texts.")
    result = None if given.get("result") is None else _result(given["result"], most_result)
    return Report(status, progress, None if message is None else said(message, LONGEST_MESSAGE), error or "", result)


async def apply(connection: Any, job_id: UUID, report: Report) -> Standing:
    """Note progress, or end the job. What was said before is answered as before. Raises JobOver where the job has ended
    in another way; then nothing has changed. Raises InvalidSignature where there is no such job.
    """
    if report.status == "processing":
        row = await connection.fetchrow(_PROGRESS, job_id, report.progress, report.message)
        if row is not None:
            return Standing(row["id"], row["status"], row["reason"], row["progress"], changed=True)
    standing = await end(connection, job_id, lambda _: _ending(report))
    if standing is None:
        raise InvalidSignature(internal="a callback of no job")
    # Progress that comes behind the end is nothing new; that a job was ended by somebody else is.
    behind = report.status == "processing" and standing.status != JobStatus.FAILED
    told = report.status == standing.status and standing.reason in {"", JobFailure.UPSTREAM_FAILED}
    behind_failure = report.status == "processing" and standing.reason == JobFailure.UPSTREAM_FAILED
    if not (behind or told or behind_failure):
        raise JobOver(job_status=standing.status, reason=standing.reason)
    return standing


def _result(given: Any, most: int) -> bytes:
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        # Such as 1e999, which is read as a number without end.
        raise InvalidCallback("The result has a number that is too large, or is nested too deeply.") from None
    result = text.encode("utf-8", "replace")
    if len(result) > most:
        raise InvalidCallback(f"A result has at most {most} bytes.", max_bytes=most)
    return result


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _ending(report: Report) -> Ending | None:
    if report.status == "completed":
        return completed(report.result, RESULT_TYPE if report.result is not None else "", report.message)
    if report.status == "failed":
        return failed(JobFailure.UPSTREAM_FAILED, report.error or FAILED_BY_UPSTREAM, report.message)
    return None

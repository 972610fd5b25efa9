"""Nightly and hourly work: which jobs there are, and how each run of them went."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, SmallInt, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class RunState(StrEnum):
    """Failed: given up, and waits for somebody to look. Retried: it failed, and another run took its place."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"


class Job(Table, tablename="job"):
    """A job as the workers' registry has it, so that those who cannot see the registry know it. Written by workers."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    name = Text(default=None, required=True, help_text="Its name everywhere.")
    description = Text(default=None, required=True, help_text="What it does, in one sentence.")
    cron = Text(default=None, required=True, help_text="When it runs: minute, hour, day, month, day of the week.")
    time_zone = Text(default=None, required=True, help_text="IANA name of the zone that these mean.")
    gone_at = Timestamptz(null=True, default=None, help_text="Since when this version has no such job; null: it has.")

    uq_job_name = Unique([name])
    ck_job_name = Check("name ~ '^[a-z][a-z-]*$' and length(name) <= 60")


class JobRun(Table, tablename="job_run"):
    """One run of a job with all its attempts. Old ones are deleted."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was asked for or was due.")
    name = Text(default=None, required=True, help_text="The job.")
    ticket = Text(default=None, required=True, help_text="Id of the queue's entry: two workers see one run by it.")
    arguments = JSONB(default="{}", help_text="What was asked for, such as a day. Never a secret.")
    state = Text(default=RunState.WAITING, choices=RunState, help_text="Where it stands.")
    attempt = SmallInt(default=0, help_text="How often it was begun, whatever became of it.")
    due_at = Timestamptz(null=True, default=None, help_text="When it is tried again; null: it is not.")
    started_at = Timestamptz(null=True, default=None, help_text="When the last attempt began.")
    beat_at = Timestamptz(null=True, default=None, help_text="When its worker last gave a sign of life.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it succeeded or was given up.")
    progress = JSONB(null=True, default=None, help_text="How far it is: {done, of, what}.")
    result = JSONB(null=True, default=None, help_text="What came of it, in figures.")
    error = Text(default="", help_text="What the last attempt met. Never a secret.")
    worker = Text(default="", help_text="Host and process that ran it last.")
    requested_by = Text(default="", help_text="Who asked for it; empty: its time had come.")
    retry_of = UUID(null=True, default=None, help_text="The failed run that it repeats.")

    uq_job_run_ticket = Unique([ticket])
    ck_job_run_state = Check("state in ('waiting', 'running', 'retrying', 'succeeded', 'failed', 'retried')")
    ck_job_run_ended_at = Check("(state in ('succeeded', 'failed', 'retried')) = (ended_at is not null)")

"""Every job: when it runs, how long it may take, how often it is tried. Each is one module of this package.

A module has `async def run(work: Work) -> Result`: it may run twice at once, be killed anywhere, and run again.
"""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.faults import NotFound
from domain.job_runs import JobRecord
from jobs.work import Result, Work

UTC = "UTC"


@dataclass(frozen=True, slots=True)
class Job:
    """`cron` (minute hour day month weekday) in `time_zone`. Of `attempts` each but the first waits, twice as long each time."""

    name: str
    module: str
    cron: str
    time_zone: str
    timeout_seconds: int
    attempts: int
    backoff_seconds: int
    description: str
    takes_day: bool = False

    def load(self) -> Callable[[Work], Awaitable[Result]]:
        """Its function."""
        function: Callable[[Work], Awaitable[Result]] = importlib.import_module(f"jobs.{self.module}").run
        return function

    @property
    def record(self) -> JobRecord:
        """What others are told of it."""
        return JobRecord(self.name, self.description, self.cron, self.time_zone)


JOBS: tuple[Job, ...] = (
    Job(
        name="log-partitions",
        module="log_partitions",
        cron="40 * * * *",
        time_zone=UTC,
        timeout_seconds=1_800,
        attempts=5,
        backoff_seconds=30,
        description="Makes the tables for the request logs of the coming week, and drops those that are old enough.",
    ),
    Job(
        name="log-summaries",
        module="log_summaries",
        cron="10 */6 * * *",
        time_zone=UTC,
        timeout_seconds=3_600,
        attempts=5,
        backoff_seconds=60,
        description="Sums up the request logs of each day by organization, key, service and operation, for ever.",
        takes_day=True,
    ),
    Job(
        name="subscriptions",
        module="subscriptions",
        cron="*/5 * * * *",
        time_zone=UTC,
        timeout_seconds=600,
        attempts=5,
        backoff_seconds=10,
        description="Begins the periods that are due, and ends trials, grace and subscriptions that have run out.",
    ),
    Job(
        name="reminders",
        module="reminders",
        cron="20 * * * *",
        time_zone=UTC,
        timeout_seconds=600,
        attempts=5,
        backoff_seconds=60,
        description="Writes to owners and billing contacts before a trial, a paid period or a subscription ends, once each.",
    ),
    Job(
        name="usage-alerts",
        module="usage_alerts",
        cron="*/5 * * * *",
        time_zone=UTC,
        timeout_seconds=600,
        attempts=5,
        backoff_seconds=10,
        description="Tells customers of limits, spend caps and credits that run out, and operators of failures and costs, once each.",
    ),
    Job(
        name="credit-sweep",
        module="credit_sweep",
        cron="*/5 * * * *",
        time_zone=UTC,
        timeout_seconds=600,
        attempts=5,
        backoff_seconds=10,
        description="Releases reservations past their deadline, ends overdue jobs, and forgets leases of workers that ended long ago.",
    ),
    Job(
        name="credit-expiry",
        module="credit_expiry",
        cron="*/10 * * * *",
        time_zone=UTC,
        timeout_seconds=900,
        attempts=5,
        backoff_seconds=30,
        description="Posts the expiry of credits whose time has passed.",
    ),
    Job(
        name="ledger-reconciliation",
        module="ledger_reconciliation",
        cron="30 3 * * *",
        time_zone=UTC,
        timeout_seconds=3_600,
        attempts=3,
        backoff_seconds=300,
        description="Compares every balance with what it is made of; a run that finds a drift fails and keeps what it found.",
    ),
    Job(
        name="stale-rows",
        module="stale_rows",
        cron="45 2 * * *",
        time_zone=UTC,
        timeout_seconds=1_800,
        attempts=5,
        backoff_seconds=60,
        description="Deletes what has ended: sessions, links, tokens, kept answers, sent mails, webhook deliveries, old runs; digests for addresses of trials.",
    ),
    Job(
        name="key-hygiene",
        module="key_hygiene",
        cron="0 5 * * *",
        time_zone=UTC,
        timeout_seconds=600,
        attempts=3,
        backoff_seconds=60,
        description="Counts API keys that should be looked at: unused, unbounded, old, expiring, under an old pepper.",
    ),
    Job(
        name="audit-seal",
        module="audit_seal",
        cron="*/5 * * * *",
        time_zone=UTC,
        timeout_seconds=900,
        attempts=5,
        backoff_seconds=10,
        description="Links what was written to the audit to its chain, so that what is changed later is found.",
    ),
)
BY_NAME = {job.name: job for job in JOBS}


def job_named(name: str) -> Job:
    """The job. Raises NotFound."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise NotFound(f"There is no job {name[:60]!r}. The jobs are {', '.join(BY_NAME)}.") from None

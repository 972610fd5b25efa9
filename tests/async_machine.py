"""Jobs as a state machine: Hypothesis chooses what callers, dispatchers, upstreams and time do, and who dies, in any order.

The oracle is a dictionary of jobs and two sums for each organization. It knows the rules of docs/asynchronous-operations.md
and nothing of the implementation. A death is a transaction that is not committed, or an attempt whose end nobody writes down.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.async_jobs.accepting import Wanted, accept
from domain.async_jobs.callbacks import apply, read_report
from domain.async_jobs.claiming import Claim, claim_due, note_later, note_taken
from domain.async_jobs.ending import completed, end, failed, withdraw
from domain.async_jobs.key_reading import cancel
from domain.async_jobs.sweeping import sweep
from domain.credits.reconciling import reconcile
from domain.refusals import JobOver
from schema.async_jobs import JobFailure
from tests.integration.domain.credits.accounts import bonus, new_organizations, posted

GIVEN = 60
PLACES = 2
ANY = st.integers(0, 1_000)
OPEN = ("pending", "processing")


@dataclass
class Figures:
    """What the examples did."""

    examples: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """For the log of the test run."""
        return [
            f"examples {self.examples}, steps {sum(self.steps.values())}",
            "steps: " + ", ".join(f"{name} {number}" for name, number in sorted(self.steps.items())),
            "ends: " + ", ".join(f"{name} {number}" for name, number in sorted(self.ends.items())),
        ]


@dataclass
class Job:
    """What the oracle knows of one job."""

    owner: UUID
    price: int
    status: str = "pending"
    reason: str = ""
    progress: int = 0
    late: bool = False
    sent: int = 0


def machine(database_url: str, figures: Figures) -> type[RuleBasedStateMachine]:
    """The state machine on this database."""

    class Jobs(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.connection: Any = None
            self.jobs: dict[UUID, Job] = {}
            self.claims: list[Claim] = []
            figures.examples += 1

        def run(self, work: Any) -> Any:
            return self.loop.run_until_complete(work)

        def counted(self, name: str) -> None:
            figures.steps[name] += 1

        @initialize()
        def begin(self) -> None:
            self.connection = self.run(asyncpg.connect(database_url))
            # What an example before has left open would take this one's places.
            self.run(self.connection.execute("delete from async_job where ended_at is null or charged_micro = 0"))
            self.run(self.connection.execute("update credit_account set reserved_micro = 0"))
            self.owners = self.run(new_organizations(self.connection, 2))
            for owner in self.owners:
                self.run(posted(self.connection, bonus(owner, GIVEN)))
            self.service = self.run(
                self.connection.fetchval(
                    "insert into service (slug, name, route_prefix, upstreams, job_concurrency)"
                    " values ($1, 'work', $2, '[{\"url\": \"http://127.0.0.1:1\"}]', $3) returning id",
                    f"s{uuid4().hex[:20]}", f"/s{uuid4().hex[:20]}", PLACES,
                )
            )  # fmt: skip

        def pick(self, which: int, *statuses: str) -> UUID | None:
            found = [job_id for job_id, job in self.jobs.items() if not statuses or job.status in statuses]
            return found[which % len(found)] if found else None

        # -- the oracle

        def ends(self, job_id: UUID, status: str, reason: str = "") -> None:
            """An open job ends so, or overdue if it is late."""
            job = self.jobs[job_id]
            if job.status not in OPEN:
                return
            job.status, job.reason = ("failed", "overdue") if job.late else (status, reason)
            job.progress = 100 if job.status == "completed" else job.progress
            figures.ends[job.reason or job.status] += 1

        # -- what happens

        @rule(which=st.integers(0, 1), price=st.sampled_from([0, 5, 10, 25]))
        def takes_on(self, which: int, price: int) -> None:
            self.counted("takes on")
            owner, job_id = self.owners[which], uuid4()
            wanted = Wanted(
                job_id, owner, uuid4(), self.service, uuid4(), uuid4(), price, "POST", "/", b"sealed", b"body", 3_600
            )
            held = self.run(accept(self.connection, wanted, None, recall=False))
            free = GIVEN - sum(
                job.price for job in self.jobs.values()
                if job.owner == owner and job.status in (*OPEN, "completed")
            )  # fmt: skip
            assert held.done == (price <= free), (held, free)
            if held.done:
                self.jobs[job_id] = Job(owner, price)

        @precondition(lambda self: any(job.status == "pending" for job in self.jobs.values()))
        @rule(most=st.integers(1, 4), leases_are_over=st.booleans())
        def claims_what_is_due(self, most: int, *, leases_are_over: bool) -> None:
            self.counted("claims")
            if leases_are_over:
                self.run(self.connection.execute("update async_job set due_at = now() where due_at is not null"))
            before = self.run(self.working())
            found = self.run(claim_due(self.connection, self.service, most))
            after = self.run(self.working())
            assert after <= max(before, PLACES), (before, after)
            for claim in found:
                job = self.jobs[claim.id]
                assert (job.status, job.late) == ("pending", False), job
                job.sent += 1
                self.claims.append(claim)

        async def working(self) -> int:
            query = "select count(*) from async_job where service_id = $1 and working"
            return int(await self.connection.fetchval(query, self.service))

        @precondition(lambda self: self.claims)
        @rule(which=ANY, how=st.sampled_from(["taken", "taken", "later", "doubt", "done", "refused", "dies"]))
        def an_attempt_is_over(self, which: int, how: str) -> None:
            self.counted(f"attempt: {how}")
            claim = self.claims.pop(which % len(self.claims))
            job = self.jobs[claim.id]
            if how == "taken":
                self.run(note_taken(self.connection, claim.id))
                job.status = "processing" if job.status == "pending" else job.status
            elif how in {"later", "doubt"}:
                self.run(note_later(self.connection, claim, "busy", at_work=how == "doubt"))
            elif how == "done":
                self.run(end(self.connection, claim.id, lambda _: completed(b"x", "text/plain")))
                self.ends(claim.id, "completed")
            elif how == "refused":
                refused = failed(JobFailure.REFUSED, "no")
                self.run(end(self.connection, claim.id, lambda row: refused if row["status"] == "pending" else None))
                if job.status == "pending" or job.late:
                    self.ends(claim.id, "failed", "refused")

        @precondition(lambda self: self.jobs)
        @rule(which=ANY, kind=st.sampled_from(["processing", "completed", "failed"]), progress=st.integers(0, 100), dies=st.sampled_from([False, False, True]))  # fmt: skip
        def is_called_back(self, which: int, kind: str, progress: int, *, dies: bool) -> None:
            job_id = self.pick(which)
            assert job_id is not None
            self.counted(f"callback: {kind}{', killed' if dies else ''}")
            job = self.jobs[job_id]
            body = b'{"job_id": "%b", "status": "%b", "progress": %d, "result": 1}' % (
                str(job_id).encode(), kind.encode(), progress,
            )  # fmt: skip
            report = read_report(body, job_id, 100)
            if dies:
                self.run(self.killed(apply(self.connection, job_id, report)))
                return
            was_open = job.status in OPEN
            if kind != "processing" or job.late:
                self.ends(job_id, kind, "upstream_failed" if kind == "failed" else "")
            elif was_open:
                job.status, job.progress = "processing", max(job.progress, progress)
            agrees = job.status == kind and job.reason in {"", "upstream_failed"}
            behind = kind == "processing" and job.reason in {"", "upstream_failed"}
            if agrees or behind:
                assert self.run(apply(self.connection, job_id, report)).status == job.status
            else:
                with pytest.raises(JobOver) as refusal:
                    self.run(apply(self.connection, job_id, report))
                assert refusal.value.extra["job_status"] == job.status

        async def killed(self, work: Any) -> None:
            transaction = self.connection.transaction()
            await transaction.start()
            with contextlib.suppress(JobOver):
                await work
            await transaction.rollback()

        @precondition(lambda self: sum(job.status in OPEN for job in self.jobs.values()) > 2)
        @rule(which=ANY)
        def time_runs_out(self, which: int) -> None:
            job_id = self.pick(which, *OPEN)
            if job_id is not None:
                self.counted("runs out")
                self.jobs[job_id].late = True
                self.run(self.connection.execute("update async_job set deadline = now() where id = $1", job_id))

        @precondition(lambda self: any(job.late and job.status in OPEN for job in self.jobs.values()))
        @rule(dies=st.booleans())
        def is_swept(self, *, dies: bool) -> None:
            self.counted("swept")
            if dies:
                self.run(self.killed(sweep(self.connection)))
                return
            self.run(sweep(self.connection))
            for job_id, job in self.jobs.items():
                if job.late:
                    self.ends(job_id, "failed", "overdue")

        @precondition(lambda self: len(self.jobs) > 2)
        @rule(which=ANY, how=st.sampled_from(["cancels", "withdraws"]))
        def is_taken_back(self, which: int, how: str) -> None:
            job_id = self.pick(which)
            assert job_id is not None
            self.counted(how)
            if how == "cancels":
                self.run(cancel(self.connection, job_id))
            else:
                self.run(withdraw(self.connection, self.jobs[job_id].owner, job_id, uuid4()))
            job = self.jobs[job_id]
            if not job.sent or job.late:
                self.ends(job_id, "failed", "cancelled" if how == "cancels" else "withdrawn")

        @invariant()
        def what_is_stored_is_what_happened(self) -> None:
            if self.connection is not None:
                self.run(self.compare())

        async def compare(self) -> None:
            rows = await self.connection.fetch("select * from async_job where id = any($1)", list(self.jobs))
            assert len(rows) == len(self.jobs)
            for row in rows:
                job = self.jobs[row["id"]]
                stored = row["status"], row["reason"], row["progress"], row["charged_micro"]
                charged = job.price if job.status == "completed" else 0
                assert stored == (job.status, job.reason, job.progress, charged), (stored, job)
                assert (row["fields"] is None) == (job.status not in OPEN)
            for owner in self.owners:
                mine = [job for job in self.jobs.values() if job.owner == owner]
                account = await self.connection.fetchrow(
                    "select balance_micro, reserved_micro, usage_micro from credit_account where organization_id = $1",
                    owner,
                )
                used = sum(job.price for job in mine if job.status == "completed")
                reserved = sum(job.price for job in mine if job.status in OPEN)
                assert tuple(account) == (GIVEN - used, reserved, used)

        def teardown(self) -> None:
            if self.connection is not None:
                drifts = self.run(reconcile(self.connection)).drifts
                self.run(self.connection.close())
                assert drifts == []
            self.loop.close()

    return Jobs

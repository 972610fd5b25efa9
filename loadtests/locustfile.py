"""Five kinds of callers. Each knows which answers are right for it, so a wrong one is a failure whatever its status.

The keys come from LOAD_PAYING_KEY and LOAD_FREE_KEY; `python -m loadtests.run` sets them.
"""

import os
import secrets
from typing import Any

from locust import HttpUser, between, events, task

from loadtests.budgets import Measured, load_budgets, passed
from loadtests.upstream import BLOCK, ITEMS

PAYING = {"X-API-Key": os.environ.get("LOAD_PAYING_KEY", "")}
FREE = {"X-API-Key": os.environ.get("LOAD_FREE_KEY", "")}
UPLOAD = BLOCK * 16
EVENTS = 25


class PayingUser(HttpUser):
    """Has room: every answer is the upstream's."""

    weight = 6
    wait_time = between(0.02, 0.1)

    @task
    def items(self) -> None:
        """An ordinary call."""
        with self.client.get("/load/items", headers=PAYING, name="paying GET /items", catch_response=True) as answer:
            if answer.status_code != 200 or answer.content != ITEMS or "RateLimit" not in answer.headers:
                answer.failure(f"status {answer.status_code}, {len(answer.content)} bytes")


class FreeUser(HttpUser):
    """Runs into its limit, and is told when to come again."""

    weight = 2
    wait_time = between(0.1, 0.3)

    @task
    def items(self) -> None:
        """200, or 429 that explains itself."""
        with self.client.get("/load/items", headers=FREE, name="free GET /items", catch_response=True) as answer:
            told = answer.status_code == 429 and answer.headers.get("Retry-After", "").isdigit()
            if told and answer.headers["Content-Type"] == "application/problem+json":
                answer.success()
            elif answer.status_code != 200:
                answer.failure(f"status {answer.status_code}, Retry-After {answer.headers.get('Retry-After')}")


class AbusiveUser(HttpUser):
    """Guesses keys: never gets in, and is slowed down."""

    weight = 1
    wait_time = between(0.05, 0.2)

    @task
    def guess(self) -> None:
        """401, later 429."""
        guess = {"X-API-Key": f"pe_live_{secrets.token_hex(20)}"}
        with self.client.get("/load/items", headers=guess, name="abusive GET /items", catch_response=True) as answer:
            if answer.status_code in {401, 429}:
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}")


class StreamingUser(HttpUser):
    """Reads event streams to their end."""

    weight = 2
    wait_time = between(0.1, 0.5)

    @task
    def events(self) -> None:
        """Every event, and the last one."""
        with self.client.get(
            f"/load/events?count={EVENTS}&ms=20",
            headers=PAYING,
            name="streaming GET /events",
            stream=True,
            catch_response=True,
        ) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith(b"data: ")]
            if len(lines) != EVENTS + 1 or lines[-1] != b"data: end":
                answer.failure(f"status {answer.status_code}, {len(lines)} events")


class UploadingUser(HttpUser):
    """Sends a megabyte at a time."""

    weight = 1
    wait_time = between(0.1, 0.5)

    @task
    def upload(self) -> None:
        """All bytes arrive."""
        with self.client.post(
            "/load/bytes", data=UPLOAD, headers=PAYING, name="uploading POST /bytes", catch_response=True
        ) as answer:
            if answer.status_code != 200 or answer.json() != {"received": len(UPLOAD)}:
                answer.failure(f"status {answer.status_code}")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def check_budgets(environment: Any, **_: Any) -> None:
    """Fail the run when a budget is passed."""
    measured = {
        name: Measured(entry.num_requests, entry.num_failures, entry.get_response_time_percentile(0.95) or 0.0)
        for (name, _method), entry in environment.stats.entries.items()
    }
    found = passed(load_budgets(), measured)
    for line in found:
        print(f"BUDGET PASSED: {line}")
    environment.process_exit_code = 1 if found else 0

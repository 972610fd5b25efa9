"""Five kinds of callers. Each knows which answers are right for it, so a wrong one is a failure whatever its status.

The keys come from LOAD_PAYING_KEY, LOAD_FREE_KEY and LOAD_HAMMER_KEY; `python -m loadtests.run` sets them.
"""

import os
import secrets
import socket
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from locust import HttpUser, between, constant, events, task

from loadtests.budgets import Measured, hours_touched, load_budgets, passed
from loadtests.upstream import BLOCK, ITEMS

PAYING = {"X-API-Key": os.environ.get("LOAD_PAYING_KEY", "")}
FREE = {"X-API-Key": os.environ.get("LOAD_FREE_KEY", "")}
HAMMER = {"X-API-Key": os.environ.get("LOAD_HAMMER_KEY", "")}
UPLOAD = BLOCK * 16
EVENTS = 25
STATUSES: defaultdict[str, Counter[int]] = defaultdict(Counter)
"""Answers by the name of the request; 0 is no answer."""
BEGAN = datetime.now(UTC)
MALFORMED = (
    b"GET /load/items HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET /load/items HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /load/items HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /load/items HTTP/1.1\r\n\r\n",
    b"GET /load/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /load/../items HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /load/items?api_key=pe_live_1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /load/items HTTP/1.1\r\nHost: x\r\nX-API-Key: a\r\nAuthorization: Bearer pe_live_b\r\n\r\n",
)
"""Each wrong in its own way, each to be answered with 400."""


class PayingUser(HttpUser):
    """Has room: every answer is the upstream's."""

    weight = 6
    wait_time = between(0.02, 0.1)

    @task
    def items(self) -> None:
        """An ordinary call."""
        name = "paying GET /items"
        with self.client.get("/load/items", headers=PAYING, name=name, catch_response=True) as answer:
            STATUSES[name][answer.status_code] += 1
            if answer.status_code != 200 or answer.content != ITEMS or "RateLimit" not in answer.headers:
                answer.failure(f"status {answer.status_code}, {len(answer.content)} bytes")


class FreeUser(HttpUser):
    """Runs into its limit, and is told when to come again."""

    weight = 2
    wait_time = between(0.1, 0.3)

    @task
    def items(self) -> None:
        """200, or 429 that explains itself."""
        _limited(self, "free GET /items", FREE)


class AbusiveUser(HttpUser):
    """Guesses keys, does not heed 429, speaks nonsense: never gets in, and is told why."""

    weight = 2
    wait_time = constant(0)

    @task(2)
    def guess(self) -> None:
        """401, later 429."""
        name = "abusive guessing"
        guess = {"X-API-Key": f"pe_live_{secrets.token_hex(20)}"}
        with self.client.get("/load/items", headers=guess, name=name, catch_response=True) as answer:
            STATUSES[name][answer.status_code] += 1
            if answer.status_code in {401, 429}:
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}")

    @task(8)
    def hammer(self) -> None:
        """A tiny limit, and no pause after the refusal."""
        _limited(self, "abusive hammering", HAMMER)

    @task(2)
    def malformed(self) -> None:
        """A request that no client library would send, on a connection of its own."""
        begun = time.perf_counter()
        text, fault = secrets.choice(MALFORMED), None
        status = _status_of(self.host or "", text)
        STATUSES["abusive malformed"][status] += 1
        if status != 400:
            fault = ValueError(f"status {status} for {text[:60]!r}")
        events.request.fire(
            request_type="RAW", name="abusive malformed", response_time=(time.perf_counter() - begun) * 1000,
            response_length=0, exception=fault, context={},
        )  # fmt: skip


class StreamingUser(HttpUser):
    """Reads event streams to their end."""

    weight = 2
    wait_time = between(0.1, 0.5)

    @task
    def events(self) -> None:
        """Every event, and the last one."""
        path, name = f"/load/events?count={EVENTS}&ms=20", "streaming GET /events"
        with self.client.get(path, headers=PAYING, name=name, stream=True, catch_response=True) as answer:
            STATUSES[name][answer.status_code] += 1
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
        name = "uploading POST /bytes"
        with self.client.post("/load/bytes", data=UPLOAD, headers=PAYING, name=name, catch_response=True) as answer:
            STATUSES[name][answer.status_code] += 1
            if answer.status_code != 200 or answer.json() != {"received": len(UPLOAD)}:
                answer.failure(f"status {answer.status_code}")


def _limited(user: HttpUser, name: str, headers: dict[str, str]) -> None:
    with user.client.get("/load/items", headers=headers, name=name, catch_response=True) as answer:
        STATUSES[name][answer.status_code] += 1
        told = answer.status_code == 429 and answer.headers.get("Retry-After", "").isdigit()
        if told and answer.headers["Content-Type"] == "application/problem+json":
            answer.success()
        elif answer.status_code != 200:
            answer.failure(f"status {answer.status_code}, Retry-After {answer.headers.get('Retry-After')}")


def _status_of(url: str, text: bytes) -> int:
    """The status that is answered to these bytes, 0 for none."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout=5) as connection:
            connection.sendall(text)
            line = connection.makefile("rb").readline(64)
        return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        return 0


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def check_budgets(environment: Any, **_: Any) -> None:
    """Fail the run when a budget is passed."""
    measured = {
        name: Measured(
            entry.num_requests, entry.num_failures, entry.get_response_time_percentile(0.95) or 0.0,
            entry.get_response_time_percentile(0.99) or 0.0, STATUSES[name], unread=environment.runner.target_user_count,
        )
        for (name, _method), entry in environment.stats.entries.items()
    }  # fmt: skip
    found = passed(load_budgets("locust"), measured, hours_touched(BEGAN, datetime.now(UTC)))
    for name, statuses in sorted(STATUSES.items()):
        print(f"{name}: " + ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items())))
    for line in found:
        print(f"BUDGET PASSED: {line}")
    environment.process_exit_code = 1 if found else 0

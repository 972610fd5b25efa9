"""The loop that sends jobs upstream: claims what is due, makes the attempts side by side, writes down what came of them.

Any number of processes may. Now and then it also ends what is overdue, so that nobody waits for the clock's jobs.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from http.cookiejar import CookieJar, DefaultCookiePolicy
from uuid import UUID

import asyncpg
import httpx2

from domain.async_jobs.claiming import Claim, claim_due, note_later, note_taken, services_waiting
from domain.async_jobs.ending import Ending, completed, end, failed
from domain.async_jobs.sealed_fields import unseal_fields
from domain.async_jobs.sending import Answer, Meaning, send
from domain.async_jobs.sweeping import sweep
from domain.databases import AWAY, Pool
from domain.faults import in_one_line
from domain.sealing import Unreadable
from domain.settings import Settings
from domain.turns import Turns
from schema.async_jobs import JobFailure, JobStatus

log = logging.getLogger("paid_endpoint.async_jobs")

POLL_SECONDS = 0.5
AFTER_A_FAULT_SECONDS = 3.0
MOST_OF_ONE_SERVICE = 2
"""At most this part of the attempts goes to one service: one that hangs does not keep the others waiting."""
SWEEP_SECONDS = 5.0


class Dispatcher:
    """Sends the jobs of all services."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._running: dict[asyncio.Task[None], UUID] = {}
        self._clients: dict[bool, httpx2.AsyncClient] = {}
        self._sweep_at = 0.0
        # Who waits for an account that somebody has locked takes one connection and no more.
        self._turns = Turns(1)

    async def run(self) -> None:
        """Send until cancelled. A database that is away is waited for."""
        try:
            while True:
                await self._turn()
        finally:
            await self.stop()

    async def send_due(self) -> int:
        """Make one attempt of everything that is due now and has a place; how many were made."""
        made = 0
        while started := await self._start():
            made += started
            await asyncio.wait(self._running)
            self._forget()
        return made

    async def stop(self) -> None:
        """Give up what is under way: its lease makes it due again."""
        for task in self._running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._running, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _turn(self) -> None:
        try:
            started = await self._start()
            if time.monotonic() >= self._sweep_at:
                self._sweep_at = time.monotonic() + SWEEP_SECONDS
                async with self._pool.acquire() as connection:
                    await sweep(connection)
        except AWAY as fault:
            log.warning("jobs wait for the database: %s", in_one_line(fault))
            await asyncio.sleep(AFTER_A_FAULT_SECONDS)
            return
        if self._running:
            await asyncio.wait(
                self._running, timeout=0 if started else POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            self._forget()
        else:
            await asyncio.sleep(POLL_SECONDS)

    async def _start(self) -> int:
        """Begin as many attempts as there is room for, of each service in turn."""
        most = self._settings.asynchronous.concurrency
        started = 0
        if len(self._running) >= most:
            return 0
        under_way = Counter(self._running.values())
        async with self._pool.acquire() as connection:
            for service_id in await services_waiting(connection):
                room = min(most - len(self._running), max(1, most // MOST_OF_ONE_SERVICE) - under_way[service_id])
                if room <= 0:
                    continue
                for claim in await claim_due(connection, service_id, room):
                    self._running[asyncio.create_task(self._attempt(claim))] = service_id
                    started += 1
        return started

    def _forget(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            if not task.cancelled() and (fault := task.exception()) is not None:
                # The lease makes the job due again.
                log.error("an attempt to send a job could not be written down", exc_info=fault)

    async def _attempt(self, claim: Claim) -> None:
        settings = self._settings
        try:
            fields = unseal_fields(settings.secrets, claim.id, claim.fields)
        except (Unreadable, ValueError) as fault:
            answer = Answer(Meaning.LATER, str(fault))
        else:
            most = settings.asynchronous.max_result_bytes
            answer = await send(self._client(claim), claim, fields, settings.callback_base_url, most)
        async with self._turns.of(claim.organization_id), self._pool.acquire() as connection:
            await _settle(connection, claim, answer)

    def _client(self, claim: Claim) -> httpx2.AsyncClient:
        verify = claim.to.tls_verify
        if verify not in self._clients:
            self._clients[verify] = new_client(verify=verify)
        return self._clients[verify]


def new_client(*, verify: bool) -> httpx2.AsyncClient:
    """What attempts are made with. It keeps nothing from one job to the next: no connection, no cookie."""
    return httpx2.AsyncClient(
        verify=verify, follow_redirects=False, trust_env=False, timeout=None,
        limits=httpx2.Limits(max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )  # fmt: skip


async def _settle(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", claim: Claim, answer: Answer) -> None:
    meaning = answer.meaning
    if meaning is Meaning.TAKEN:
        await note_taken(connection, claim.id)
    elif meaning in {Meaning.LATER, Meaning.DOUBT}:
        log.info("job %s was not taken (attempt %d): %s", claim.id, claim.attempts, answer.said)
        await note_later(connection, claim, answer.said, at_work=meaning is Meaning.DOUBT)
    elif meaning is Meaning.DONE:
        done = completed(answer.result, answer.result_type)
        await end(connection, claim.id, lambda _: done)
    else:
        reason = JobFailure.REFUSED if meaning is Meaning.REFUSED else JobFailure.UNDELIVERABLE
        await end(connection, claim.id, lambda row: _refused(row, failed(reason, answer.said)))


def _refused(row: asyncpg.Record, ending: Ending) -> Ending | None:
    """Who has said that it is at work on a job does not take it a second time: then only its callbacks count."""
    return ending if row["status"] == JobStatus.PENDING else None

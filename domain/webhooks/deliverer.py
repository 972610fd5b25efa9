"""The loop that delivers: claims what is due, makes the attempts side by side, writes down what came of them."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2

from domain.databases import AWAY, Pool
from domain.faults import in_one_line
from domain.portal_settings import SecretSettings, WebhookSettings
from domain.sealing import Unreadable, unseal
from domain.webhooks.addresses import Guard
from domain.webhooks.claiming import MOST_OF_ONE_ENDPOINT, Claim, claim_due, settle
from domain.webhooks.connecting import open_client
from domain.webhooks.endpoints import PURPOSE
from domain.webhooks.sending import Outcome, send
from domain.webhooks.switching_off import Teller

log = logging.getLogger("paid_endpoint.webhooks")

POLL_SECONDS = 1.0
AFTER_A_FAULT_SECONDS = 5.0


def _now() -> datetime:
    return datetime.now(UTC)


class Deliverer:
    """Delivers webhooks of all organizations. Several may run at once, in as many processes as you like.

    `portal_url` is where mails lead that tell of an endpoint that was switched off.
    """

    def __init__(
        self,
        pool: Pool,
        settings: WebhookSettings,
        secrets: SecretSettings,
        *,
        portal_url: str,
        guard: Guard | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._pool, self._settings, self._secrets, self._clock = pool, settings, secrets, clock
        self._guard = guard or Guard(settings)
        self._teller = Teller(secrets, portal_url)
        self._running: dict[asyncio.Task[None], Claim] = {}

    async def run(self) -> None:
        """Deliver until cancelled. A database that is away is waited for."""
        async with open_client(self._guard) as client:
            try:
                while True:
                    await self._turn(client)
            finally:
                await self._stop()

    async def deliver_due(self) -> int:
        """Make one attempt of everything that is due now; how many were made."""
        made = 0
        async with open_client(self._guard) as client:
            while started := await self._start(client):
                made += started
                await asyncio.wait(self._running)
                self._forget()
        return made

    async def _turn(self, client: httpx2.AsyncClient) -> None:
        try:
            started = await self._start(client)
        except AWAY as fault:
            log.warning("webhooks wait for the database: %s", in_one_line(fault))
            await asyncio.sleep(AFTER_A_FAULT_SECONDS)
            return
        if not self._running:
            await asyncio.sleep(POLL_SECONDS)
            return
        await asyncio.wait(self._running, timeout=0 if started else POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        self._forget()

    async def _start(self, client: httpx2.AsyncClient) -> int:
        """Begin as many attempts as there is room for."""
        room = self._settings.concurrency - len(self._running)
        if room <= 0:
            return 0
        of_endpoints = Counter(claim.endpoint_id for claim in self._running.values())
        busy = [endpoint for endpoint, count in of_endpoints.items() if count >= MOST_OF_ONE_ENDPOINT]
        of_organizations = Counter(claim.organization_id for claim in self._running.values())
        share = max(1, self._settings.concurrency // 2)
        async with self._pool.acquire() as connection, connection.transaction():
            claims = await claim_due(
                connection, self._clock(), most=room, busy=busy, under_way=of_organizations, share=share
            )
        for claim in claims:
            self._running[asyncio.create_task(self._attempt(client, claim))] = claim
        return len(claims)

    def _forget(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            if not task.cancelled() and (fault := task.exception()) is not None:
                # The lease makes the delivery due again.
                log.error("an attempt of a webhook could not be written down", exc_info=fault)

    async def _attempt(self, client: httpx2.AsyncClient, claim: Claim) -> None:
        try:
            secrets = self._secrets_of(claim)
        except Unreadable as fault:
            outcome = Outcome(None, "", 0, str(fault))
        else:
            outcome = await send(
                client,
                claim.url,
                event_id=claim.event_id,
                body=claim.payload.encode(),
                secrets=secrets,
                timeout_seconds=self._settings.timeout_seconds,
            )
        async with self._pool.acquire() as connection:
            await settle(connection, claim, outcome, self._clock(), self._teller)

    def _secrets_of(self, claim: Claim) -> list[bytes]:
        sealed = [claim.secret, *([claim.old_secret] if claim.old_secret is not None else [])]
        return [unseal(self._secrets, value, purpose=PURPOSE, owner=str(claim.endpoint_id)) for value in sealed]

    async def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._running, return_exceptions=True)

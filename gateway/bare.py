"""Our own bare pass-through: the same server, exchange and upstream pool without any policy or record.

Only `make bench` serves it: it is what the cost of the policies is measured against (B2). Everything goes to
`UPSTREAM_API_URL`.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.applications import Starlette

from domain.async_jobs.taking import JobTaking
from domain.catalog.catalog import Catalog
from domain.catalog.reading import parse_upstream
from domain.credits.holds import Holds
from domain.credits.wallets import Wallets
from domain.databases import open_pool
from domain.journal.journal import Journal
from domain.quotas.limiter import Limiter
from domain.settings import Settings
from domain.snapshots import NO_ID, KeySnapshot, Match, PlanSnapshot, ServiceSnapshot
from gateway import forwarding, tracing
from gateway.admissions import Admissions
from gateway.app import GatewayApplication
from gateway.bad_keys import BadKeyThrottle
from gateway.client_address import AddressReader
from gateway.doors.express import ExpressDoor
from gateway.doors.plain import PlainDoor
from gateway.metrics import Counts
from gateway.outcomes import Outcomes
from gateway.server.state import WorkerIdentity
from gateway.services import Services
from gateway.upstream.pool import UpstreamPool
from gateway.whole_answers import WholeAnswers

if TYPE_CHECKING:
    from domain.refusals import Refusal
    from gateway.exchange import Exchange

_KEY = KeySnapshot(
    id=NO_ID, organization_id=NO_ID, organization_slug="bare", organization_state="active", plan_id=NO_ID,
    plan_slug="bare", name="bare", prefix="", environment="live", scopes=frozenset(), allowed_ips=(), expires_at=None,
    revoked=False,
)  # fmt: skip


def create_app(settings: Settings, worker: WorkerIdentity) -> Starlette:
    """One worker's application, as `gateway.app.create_app` but for what it leaves out."""
    door, express = PlainDoor(), ExpressDoor()
    match = Match(_service(settings.upstream.api_url), None, b"")

    def pass_all(exchange: "Exchange") -> None:
        exchange.matched, exchange.key, exchange.key_bytes = match, _KEY, b"\0"
        exchange.plan = PlanSnapshot(NO_ID, "bare", "bare", 0, ())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        pool = await open_pool(settings.database, "paid-endpoint bare")
        upstreams, wallets = UpstreamPool(settings.upstream), Wallets(pool, NO_ID)
        door.services = express.services = app.state.services = Services(
            settings=settings,
            database=pool,
            catalog=Catalog(pool, settings),
            limiter=Limiter(settings.redis, worker.count),
            wallets=wallets,
            holds=Holds(wallets.access),
            outcomes=Outcomes(wallets.access, settings.gateway),
            jobs=JobTaking(wallets.access, settings.database.pool_max_size),
            journal=Journal(settings.gateway.state_folder / "journal" / uuid4().hex, settings.journal),
            upstreams=upstreams,
            addresses=AddressReader(()),
            bad_keys=BadKeyThrottle(1, time.monotonic),
            counts=Counts(worker.refused),
            keep_room=_keep_no_room,
            free=(pass_all,),
            counted=(),
            admissions=Admissions(_NeverChanges()),
            record=_record_nothing,
            record_begin=_record_nothing,
            known_head=forwarding.known_head,
            begin_trace=tracing.begin,
            whole_answers=WholeAnswers(_record_none_of, upstreams.clock),
        )
        yield {}
        await upstreams.close(0.0)

    return GatewayApplication(door, express, lifespan=lifespan)


class _NeverChanges:
    """In the place of a catalog, for what is remembered of heads."""

    version = 0

    def good_until(self, presented: bytes) -> float:
        """For ever, whatever the key."""
        del presented
        return float(2**62 // 10**9)


def _keep_no_room(exchange: "Exchange") -> None:
    del exchange


def _record_nothing(exchange: "Exchange", outcome: str = "", refusal: "Refusal | None" = None) -> None:
    del exchange, outcome, refusal


def _record_none_of(exchanges: "list[Exchange]") -> None:
    del exchanges


def _service(url: str) -> ServiceSnapshot:
    return ServiceSnapshot(
        id=NO_ID, slug="bare", name="bare", enabled=True, coming_soon=False, minimum_plan_id=None, route_prefix=b"/",
        keep_prefix=True, upstreams=(parse_upstream(url),), charge_on="success", connect_timeout=5, first_byte_timeout=30,
        idle_timeout=60, total_timeout=0, max_connections=256, max_body_bytes=0, cors_origins=frozenset(),
    )  # fmt: skip

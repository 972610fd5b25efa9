"""Everything that a request may use, made once per worker by `gateway.app` and handed down."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from domain.async_jobs.taking import JobTaking
from domain.catalog.catalog import Catalog
from domain.credits.holds import Holds
from domain.credits.wallets import Wallets
from domain.journal.journal import Journal
from domain.quotas.limiter import Limiter
from domain.refusals import Refusal
from domain.settings import Settings
from gateway.admissions import Admissions
from gateway.bad_keys import BadKeyThrottle
from gateway.client_address import AddressReader
from gateway.metrics import Counts
from gateway.outcomes import Outcomes
from gateway.upstream.pool import UpstreamPool
from gateway.whole_answers import WholeAnswers

if TYPE_CHECKING:
    from gateway.exchange import Exchange

Policy = Callable[["Exchange"], Awaitable[None] | None]
Record = Callable[["Exchange", str, Refusal | None], None]
RecordBegin = Callable[["Exchange"], None]
KnownHead = Callable[["Exchange", bytes, bytes], bytes]
BeginTrace = Callable[["Exchange", bytes | None], tuple[bytes, bool]]


@dataclass(frozen=True, slots=True)
class Services:
    """One worker's parts; all of them belong to the worker's event loop.

    `keep_room`, `free` and `counted` are the chain of `gateway.chain`, `record` and `record_begin` those of
    `gateway.recording`, but in `gateway.bare`. `known_head`, `begin_trace` and `record` are others where requests leave
    spans (`gateway.sampled`), so that it costs nothing where they don't.
    """

    settings: Settings
    database: "asyncpg.Pool"
    catalog: Catalog
    limiter: Limiter
    wallets: Wallets
    holds: Holds
    outcomes: Outcomes
    jobs: JobTaking
    journal: Journal
    upstreams: UpstreamPool
    addresses: AddressReader
    bad_keys: BadKeyThrottle
    counts: Counts
    keep_room: Policy
    free: tuple[Policy, ...]
    counted: tuple[Policy, ...]
    admissions: Admissions
    record: Record
    record_begin: RecordBegin
    known_head: KnownHead
    begin_trace: BeginTrace
    whole_answers: WholeAnswers

"""Everything that a handler of the portal may use, opened by the lifespan."""

from dataclasses import dataclass, field

from domain.databases import Pool
from domain.identity.throttle import Throttle
from domain.log_export import ExportRoom
from domain.log_store.store import LogStore
from domain.quotas.limiter import Limiter
from domain.redis_client import Client
from domain.settings import Settings
from portal.live import LiveUsage
from portal.web.templates import Templates
from portal.web.turns import Turns


@dataclass(frozen=True, slots=True)
class Services:
    """One process's parts."""

    settings: Settings
    database: Pool
    redis: Client
    templates: Templates
    throttle: Throttle
    limiter: Limiter
    """Takes nothing here: it says how much of the plan's limits is used."""
    live: LiveUsage
    turns: Turns
    logs: LogStore
    exports: ExportRoom = field(default_factory=ExportRoom)
    """Places for exports of request logs."""

"""Everything that a handler of the portal may use, opened by the lifespan."""

from dataclasses import dataclass

from domain.databases import Pool
from domain.identity.throttle import Throttle
from domain.redis_client import Client
from domain.settings import Settings
from portal.web.templates import Templates


@dataclass(frozen=True, slots=True)
class Services:
    """One process's parts."""

    settings: Settings
    database: Pool
    redis: Client
    templates: Templates
    throttle: Throttle

"""Everything that a request may use, made once per worker by `gateway.app` and handed down."""

from dataclasses import dataclass

from domain.catalog.catalog import Catalog
from domain.metering import Recorder
from domain.quotas.limiter import Limiter
from domain.settings import Settings
from gateway.bad_keys import BadKeyThrottle
from gateway.client_address import AddressReader
from gateway.metrics import Counts
from gateway.upstream.pool import UpstreamPool


@dataclass(frozen=True, slots=True)
class Services:
    """One worker's parts; all of them belong to the worker's event loop."""

    settings: Settings
    catalog: Catalog
    limiter: Limiter
    recorder: Recorder
    upstreams: UpstreamPool
    addresses: AddressReader
    bad_keys: BadKeyThrottle
    counts: Counts

"""Every setting of the product: typed, bounded, described, read once from the environment.

Order of precedence: the process environment, the file `.env`, the file `instance.env` in PE_DATA_DIR that `paid-endpoint up`
writes for the instance it runs. No other module reads the environment.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from domain.alert_settings import AlertSettings
from domain.async_settings import AsyncSettings
from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue
from domain.job_settings import JobSettings
from domain.log_settings import JournalSettings, LogSettings
from domain.portal_settings import (
    AdminSettings,
    MailSettings,
    PortalSettings,
    SecretSettings,
    SignInSettings,
    WebhookSettings,
)
from domain.setting_concern import (
    DATA_DIR,
    ENV_FILES,
    INSTANCE_FILE,
    LAST_PORT,
    Concern,
    Milliseconds,
    Port,
    begins_with,
    versioned,
)
from domain.setting_lists import networks, split
from domain.trace_settings import TraceSettings

__all__ = [
    "DATA_DIR",
    "ENV_FILES",
    "INSTANCE_FILE",
    "AdminSettings",
    "AlertSettings",
    "AsyncSettings",
    "CreditSettings",
    "DatabaseSettings",
    "DevSettings",
    "GatewaySettings",
    "JobSettings",
    "JournalSettings",
    "KeySettings",
    "LogSettings",
    "MailSettings",
    "PortalSettings",
    "RedisSettings",
    "SecretSettings",
    "Settings",
    "SignInSettings",
    "TraceSettings",
    "UpstreamSettings",
    "WebhookSettings",
    "load_settings",
]


class DatabaseSettings(Concern, env_prefix="DATABASE_"):
    """PostgreSQL: the record of everything."""

    url: SecretStr = Field(
        default=SecretStr("postgresql://postgres@127.0.0.1:5432/paid_endpoint"),
        description="PostgreSQL DSN; the primary, never a replica.",
    )
    pool_max_size: int = Field(default=8, ge=1, le=200, description="Connections per process at the most.")
    command_timeout_ms: Milliseconds = Field(
        default=10_000, description="A statement of the gateway is given up after this long."
    )

    @field_validator("url")
    @classmethod
    def _is_dsn(cls, value: SecretStr) -> SecretStr:
        return begins_with(value, "postgresql://", "postgres://")


class RedisSettings(Concern, env_prefix="REDIS_"):
    """Redis or Valkey: limits and jobs; never the record of money."""

    url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"), description="Redis URL; the server must run with `noeviction`."
    )
    timeout_ms: int = Field(
        default=50,
        ge=5,
        le=5_000,
        description="A limit decision waits this long for Redis, then falls back to a bounded local limit.",
    )
    max_connections: int = Field(default=64, ge=1, le=10_000, description="Connections per worker at the most.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        return begins_with(value, "redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")


class KeySettings(Concern, env_prefix="KEY_"):
    """API keys: peppers and the cache in front of the database."""

    peppers: SecretStr = Field(
        default=SecretStr(""),
        description="`version:hex` pairs joined by commas, at least 32 bytes each; new keys use the highest version.",
    )
    cache_size: int = Field(default=50_000, ge=100, le=10_000_000, description="Verified keys held in a worker.")
    negative_cache_size: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Unknown keys remembered in a worker."
    )
    cache_ttl_seconds: float = Field(
        default=60.0,
        ge=0.1,
        le=3_600,
        description="A verified key is read again after this long even if nothing changed.",
    )
    negative_ttl_seconds: float = Field(
        default=5.0, ge=0.1, le=300, description="An unknown key is looked up again after this long."
    )
    degraded_ttl_seconds: float = Field(
        default=2.0,
        ge=0.1,
        le=5,
        description="Both of the above while the change listener is lost; bounds how long a revoked key lives.",
    )
    outage_ttl_seconds: float = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="While the database cannot be reached, a verified key goes on for this long since it was read.",
    )
    bad_key_limit_per_minute: int = Field(
        default=120,
        ge=1,
        le=100_000,
        description="Unknown keys from one client address and worker before 429 replaces 401.",
    )

    @cached_property
    def pepper_by_version(self) -> dict[int, bytes]:
        """Peppers by version. Raises ValueError that names the fault, never the secret."""
        return versioned("KEY_PEPPERS", self.peppers)

    @property
    def current_pepper_version(self) -> int:
        """The version that new keys use. Raises ValueError without any pepper."""
        if not self.pepper_by_version:
            raise ValueError("KEY_PEPPERS is empty; make one with: paid-endpoint doctor --new-pepper")
        return max(self.pepper_by_version)

    @field_validator("peppers")
    @classmethod
    def _peppers_parse(cls, value: SecretStr) -> SecretStr:
        cls.model_construct(peppers=value).pepper_by_version  # noqa: B018  parsing is the check
        return value


class GatewaySettings(Concern, env_prefix="GATEWAY_"):
    """The data plane's listener and what it accepts from clients."""

    host: str = Field(default="127.0.0.1", description="Address to bind.")
    port: Port = Field(default=9990, description="Port of the proxy.")
    internal_host: str = Field(
        default="127.0.0.1", description="Address of /metrics. Anybody who reaches it can read it: never a public one."
    )
    internal_port: Port = Field(default=9991, description="Port of /metrics; 0 turns it off.")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="Worker processes; default: cores."
    )
    backlog: int = Field(default=2048, ge=16, le=65_535, description="Connections that the kernel queues.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="Host names served, comma-separated; `*` serves any."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks whose Forwarded / X-Forwarded-For is believed, comma-separated CIDR; loopback is not trusted by itself.",
    )
    max_header_bytes: int = Field(
        default=32_768, ge=1_024, le=1_048_576, description="Request line and header fields together; more is 431."
    )
    max_headers: int = Field(default=100, ge=10, le=10_000, description="Header fields; more is 431.")
    max_body_bytes: int = Field(
        default=0, ge=0, description="Request body; more is 413; 0 is no limit. A service may be stricter."
    )
    max_connections: int = Field(
        default=10_000, ge=10, le=1_000_000, description="Client connections per worker; more are refused with 503."
    )
    header_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="From the first byte of a request to the end of its header; also a silent new connection.",
    )
    body_timeout_seconds: float = Field(
        default=30.0, gt=0, le=3_600, description="Longest pause within a request body."
    )
    keepalive_timeout_seconds: float = Field(
        default=75.0, gt=0, le=3_600, description="An idle connection between requests is closed after this long."
    )
    write_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3_600, description="A client that takes no byte of its answer for this long is cut."
    )
    linger_seconds: float = Field(
        default=2.0,
        ge=0,
        le=30,
        description="After an early answer the rest of the request is read and dropped for this long, so that the answer arrives.",
    )
    drain_seconds: float = Field(
        default=60.0, ge=0, le=86_400, description="On reload an old worker lets exchanges finish for this long."
    )
    shutdown_seconds: float = Field(
        default=7.0, ge=0, le=3_600, description="On stop a worker lets exchanges finish for this long."
    )
    state_dir: Path | None = Field(
        default=None,
        description="Where this node's workers keep what must survive their death: journals and lease books. Local disk, not shared. Default: `gateway` in PE_DATA_DIR.",
    )
    door: Literal["express", "plain"] = Field(
        default="express",
        description="How proxied requests are served: right on their connection, or as ASGI tasks. Callers see no difference.",
    )
    legacy_headers: bool = Field(default=True, description="Also send X-RateLimit-Limit/-Remaining/-Reset.")
    replay_max_bytes: int = Field(
        default=1_048_576,
        ge=0,
        le=16_777_216,
        description="Answer body that is kept for repeats of an Idempotency-Key, and held in memory until it is; of a larger one only that it was.",
    )
    replay_hours: int = Field(
        default=24, ge=1, le=8_760, description="An Idempotency-Key and its outcome are remembered for this long."
    )
    error_base_url: str = Field(default="/errors/", description="Prefix of the `type` of a problem document.")

    @property
    def state_folder(self) -> Path:
        """`state_dir`, or its place in the data directory."""
        return self.state_dir or DATA_DIR / "gateway"

    def moved(self, offset: int) -> Self:
        """The same with every port moved; an internal port of 0 stays off. Raises ValueError behind the last port."""
        internal = self.internal_port + offset if self.internal_port else 0
        if max(self.port, self.internal_port) + offset > LAST_PORT:
            raise ValueError(f"PORT_OFFSET: {offset} moves a port of the gateway behind {LAST_PORT}")
        return self.model_copy(update={"port": self.port + offset, "internal_port": internal})

    @field_validator("allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)


class UpstreamSettings(Concern, env_prefix="UPSTREAM_"):
    """What the gateway allows upstreams; a service's own timeouts come first."""

    api_url: str = Field(
        default="",
        description="Upstream of the default service `/proxy`; empty: the demo upstream of `paid-endpoint up`.",
    )
    max_header_bytes: int = Field(
        default=65_536, ge=1_024, le=1_048_576, description="Head of an upstream answer; more is 502."
    )
    max_interim_answers: int = Field(
        default=16, ge=0, le=1_000, description="1xx answers before the final one; more is 502."
    )
    keepalive_seconds: float = Field(
        default=30.0, ge=0, le=3_600, description="An idle upstream connection is closed after this long."
    )
    queue_limit: int = Field(
        default=1_024,
        ge=0,
        le=100_000,
        description="Requests that may wait for a connection to one upstream in a worker; more are 503.",
    )


class CreditSettings(Concern, env_prefix="CREDITS_"):
    """Credits: what customers are given."""

    sign_up_bonus: str = Field(default="100", description="Credits that an organization is given once; 0: none.")

    @field_validator("sign_up_bonus")
    @classmethod
    def _is_amount(cls, value: str) -> str:
        try:
            parse_credits(value)
        except InvalidValue as fault:
            raise ValueError(str(fault)) from None
        return value

    @property
    def sign_up_bonus_micro(self) -> int:
        """The same in micro-credits."""
        return parse_credits(self.sign_up_bonus)


class DevSettings(Concern):
    """The instance that `paid-endpoint up` runs."""

    port_offset: int = Field(
        default=0, ge=0, le=50_000, validation_alias="PORT_OFFSET", description="Added to every port."
    )
    data_dir: Path = Field(
        default=Path(".data"),
        validation_alias="PE_DATA_DIR",
        description="Where the instance keeps its data; set it in the process environment, not in `.env`.",
    )


class Settings:
    """All concerns together. Immutable by convention: made once in each entry point, then passed down."""

    def __init__(self) -> None:
        self.database = DatabaseSettings()
        self.redis = RedisSettings()
        self.keys = KeySettings()
        self.gateway = GatewaySettings()
        self.upstream = UpstreamSettings()
        self.logs = LogSettings()
        self.journal = JournalSettings()
        self.credits = CreditSettings()
        self.secrets = SecretSettings()
        self.portal = PortalSettings()
        self.admin = AdminSettings()
        self.mail = MailSettings()
        self.sign_in = SignInSettings()
        self.webhooks = WebhookSettings()
        self.jobs = JobSettings()
        self.alerts = AlertSettings()
        self.traces = TraceSettings()
        self.asynchronous = AsyncSettings()
        self.dev = DevSettings()
        if self.dev.port_offset:
            self.gateway = self.gateway.moved(self.dev.port_offset)
            self.portal = self.portal.moved(self.dev.port_offset)
            self.jobs = self.jobs.moved(self.dev.port_offset)
            self.admin = self.admin.moved(self.dev.port_offset)

    @property
    def callback_base_url(self) -> str:
        """Where upstreams reach the gateway, without a slash at its end."""
        given = self.asynchronous.callback_url or self.portal.gateway_url.rstrip("/")
        return given or f"http://localhost:{self.gateway.port}"

    def concerns(self) -> dict[str, BaseSettings]:
        """Each concern by its name, in the order of the documentation."""
        return dict(self.__dict__)


def load_settings() -> Settings:
    """Read the environment. Raises ValueError; if it is pydantic's ValidationError it names each bad variable."""
    return Settings()

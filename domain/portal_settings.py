"""Settings of the portal and of what it needs: sealed secrets, mail, sign-in elsewhere, webhooks."""

from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from domain.setting_concern import LAST_PORT, Concern, Port, begins_with, versioned
from domain.setting_lists import networks, split


class SecretSettings(Concern, env_prefix="SECRET_"):
    """What seals the secrets that must be read again: authenticators, webhook secrets, mails that wait."""

    keys: SecretStr = Field(
        default=SecretStr(""),
        description="`version:hex` pairs joined by commas, at least 32 bytes each; the highest version seals, all open.",
    )

    @cached_property
    def key_by_version(self) -> dict[int, bytes]:
        """Keys by version, at least one. Raises ValueError that names the fault, never the secret."""
        keys = versioned("SECRET_KEYS", self.keys)
        if not keys:
            raise ValueError("SECRET_KEYS is empty; make one with: paid-endpoint doctor --new-pepper")
        return keys

    @field_validator("keys")
    @classmethod
    def _keys_parse(cls, value: SecretStr) -> SecretStr:
        versioned("SECRET_KEYS", value)
        return value


class Face(Concern):
    """What people open in a browser: the portal, the back office."""

    host: str
    port: Port
    metrics_host: str
    metrics_port: Port
    public_url: str
    trusted_proxies: Annotated[tuple[str, ...], NoDecode]

    @property
    def base_url(self) -> str:
        """Where it is, without a slash at its end."""
        return self.public_url.rstrip("/") or f"http://localhost:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over https."""
        return self.base_url.startswith("https://")

    def moved(self, offset: int) -> Self:
        """The same with its ports moved; a port of 0 stays off. Raises ValueError behind the last port."""
        if max(self.port, self.metrics_port) + offset > LAST_PORT:
            raise ValueError(f"PORT_OFFSET: {offset} moves port {self.port} or {self.metrics_port} behind {LAST_PORT}")
        metrics = self.metrics_port + offset if self.metrics_port else 0
        return self.model_copy(update={"port": self.port + offset, "metrics_port": metrics})

    @field_validator("trusted_proxies", mode="before", check_fields=False)
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

    @field_validator("trusted_proxies", check_fields=False)
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @field_validator("public_url", "gateway_url", check_fields=False)
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value


class PortalSettings(Face, env_prefix="PORTAL_"):
    """Customers' pages and their JSON API."""

    host: str = Field(default="127.0.0.1", description="Address to bind.")
    port: Port = Field(default=3000, description="Port of the portal.")
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of its /metrics. Anybody who reaches it can read it: never a public one.",
    )
    metrics_port: Port = Field(default=9994, description="Port of its /metrics; 0 turns it off.")
    public_url: str = Field(
        default="",
        description="Where customers reach it, such as https://app.example.com; empty: http://localhost with its port. With https, cookies are Secure and `__Host-`.",
    )
    gateway_url: str = Field(
        default="",
        description="Where customers reach the gateway, for examples; empty: http://localhost with its port.",
    )
    name: str = Field(
        default="paid-endpoint", min_length=1, max_length=60, description="The product's name on pages and mails."
    )
    sign_up_open: bool = Field(default=True, description="Whether anybody may sign up; else only who was invited.")
    sign_up_plan: str = Field(default="free", description="Plan that a new organization begins on.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks whose X-Forwarded-For and -Proto are believed, comma-separated CIDR; loopback is not trusted by itself.",
    )
    session_idle_hours: int = Field(
        default=72, ge=1, le=8_760, description="A session that was not used for this long ends."
    )
    session_days: int = Field(
        default=30, ge=1, le=365, description="A session ends after this long, however much it is used."
    )
    proof_minutes: int = Field(
        default=15, ge=1, le=1_440, description="Grave changes ask for the password again after this long."
    )
    deletion_days: int = Field(
        default=14, ge=0, le=365, description="An account that is deleted can be kept for this long."
    )


class AdminSettings(Face, env_prefix="ADMIN_"):
    """The operators' back office."""

    host: str = Field(default="127.0.0.1", description="Address to bind.")
    port: Port = Field(default=3001, description="Port of the back office.")
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of its /metrics. Anybody who reaches it can read it: never a public one.",
    )
    metrics_port: Port = Field(default=9997, description="Port of its /metrics; 0 turns it off.")
    public_url: str = Field(
        default="",
        description="Where operators reach it, such as https://admin.example.com; empty: http://localhost with its port. With https, cookies are Secure and `__Host-`.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks whose X-Forwarded-For and -Proto are believed, comma-separated CIDR; loopback is not trusted by itself.",
    )
    session_idle_minutes: int = Field(
        default=60, ge=1, le=1_440, description="An operator's session that was not used for this long ends."
    )
    session_hours: int = Field(
        default=12, ge=1, le=168, description="It ends after this long, however much it is used."
    )
    factor_required: bool = Field(
        default=True,
        description="Whether operators must have a second factor: who has none can do nothing but set one up.",
    )
    given_credits_per_day: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="An operator gives at most so many credits in 24 hours: granted, corrected upwards, booked; superusers too. 0: no cap.",
    )
    acting_minutes: int = Field(
        default=30, ge=1, le=480, description="An operator may act as a customer for this long, then has to ask again."
    )


class MailSettings(Concern, env_prefix="MAIL_"):
    """How mails leave."""

    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="smtp://user:password@host:587 (STARTTLS where it is offered) or smtps://...:465; empty: into files of MAIL_FOLDER.",
    )
    sender: str = Field(default="paid-endpoint <no-reply@localhost>", description="From whom mails come.")
    folder: Path | None = Field(
        default=None, description="Where mails go without SMTP. Default: `mail` in PE_DATA_DIR."
    )
    mailbox: bool = Field(
        default=False,
        description="Show that folder at /dev/mailbox. For development: whoever can open it can sign in as anybody.",
    )

    @field_validator("sender")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if not value.isprintable() or "@" not in parseaddr(value)[1]:
            raise ValueError("it must be an address, or a name and <an address>, in one line")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr) -> SecretStr:
        return begins_with(value, "smtp://", "smtps://") if value.get_secret_value() else value


class SignInSettings(Concern, env_prefix="OAUTH_"):
    """Signing in with an account elsewhere. Each is offered when its client id is set."""

    google_client_id: str = Field(
        default="", description="OAuth client of Google; the callback is /sign-in/google/callback."
    )
    google_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    google_issuer: str = Field(default="https://accounts.google.com", description="OpenID issuer that is asked.")
    github_client_id: str = Field(
        default="", description="OAuth app of GitHub; the callback is /sign-in/github/callback."
    )
    github_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    github_url: str = Field(default="https://github.com", description="GitHub's address, or that of an own GitHub.")
    github_api_url: str = Field(default="https://api.github.com", description="Address of its API.")


class WebhookSettings(Concern, env_prefix="WEBHOOK_"):
    """Where customers' webhooks may go, and who sends them."""

    allow_private: bool = Field(
        default=False,
        description="Also deliver over http, to any port and to private and loopback addresses. For development: with it, customers can reach whatever this host can.",
    )
    ports: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(443,), description="Ports that an endpoint may have, comma-separated."
    )
    deliver: bool = Field(default=True, description="Whether portal processes deliver webhooks.")
    concurrency: int = Field(default=20, ge=1, le=500, description="Deliveries under way in one process at the most.")
    timeout_seconds: float = Field(default=10.0, gt=0, le=30, description="One attempt is given up after this long.")

    @field_validator("ports", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

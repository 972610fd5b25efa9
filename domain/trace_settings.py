"""Settings of traces: the names of OpenTelemetry's own specification, as far as they mean something here."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from domain.setting_concern import Concern, Milliseconds

SAMPLERS = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
_PATH = "/v1/traces"


class TraceSettings(Concern, env_prefix="OTEL_"):
    """Traces (OpenTelemetry, OTLP over HTTP): off unless an endpoint is named."""

    exporter_otlp_endpoint: str = Field(
        default="", description="Base URL of a collector, such as `http://127.0.0.1:4318`; empty: no traces."
    )
    exporter_otlp_traces_endpoint: str = Field(
        default="", description="The whole URL that spans are posted to, in the place of the base URL and `/v1/traces`."
    )
    exporter_otlp_protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", description="The one way in which spans are sent."
    )
    exporter_otlp_headers: SecretStr = Field(
        default=SecretStr(""),
        description="Header fields for the collector, `name=value` joined by commas, values percent-encoded.",
    )
    exporter_otlp_timeout: Milliseconds = Field(
        default=10_000, description="A batch that the collector has not taken after this long is sent again."
    )
    exporter_otlp_compression: Literal["none", "gzip"] = Field(
        default="none", description="How batches are compressed."
    )
    traces_sampler: SAMPLERS = Field(
        default="parentbased_always_on",
        description="Which requests leave spans. `parentbased_…`: those that the caller's trace says, the rest by the second half. The others never ask the caller.",
    )
    traces_sampler_arg: float = Field(
        default=1.0, ge=0, le=1, description="The share that `traceidratio` takes, 0 to 1."
    )
    service_name: str = Field(
        default="paid-endpoint", min_length=1, max_length=255, description="`service.name` of every span."
    )
    resource_attributes: str = Field(
        default="",
        description="More of what every span's resource says, `name=value` joined by commas, values percent-encoded.",
    )
    sdk_disabled: bool = Field(default=False, description="True: no traces, whatever else is set.")
    bsp_max_queue_size: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Traced requests of a node that wait for the collector; of more the spans are dropped, and counted.",
    )
    bsp_max_export_batch_size: int = Field(
        default=1_000, ge=1, le=10_000, description="Traced requests in one batch, each of one or two spans."
    )
    bsp_schedule_delay: int = Field(
        default=1_000, ge=10, le=60_000, description="Milliseconds until a batch that is not full is sent."
    )

    @property
    def url(self) -> str:
        """Where spans are posted to; empty: there are none."""
        if self.sdk_disabled:
            return ""
        if self.exporter_otlp_traces_endpoint:
            return self.exporter_otlp_traces_endpoint
        return self.exporter_otlp_endpoint.rstrip("/") + _PATH if self.exporter_otlp_endpoint else ""

    @property
    def header_fields(self) -> dict[str, str]:
        """Those for the collector, decoded."""
        return _pairs(self.exporter_otlp_headers.get_secret_value())

    @property
    def more_attributes(self) -> dict[str, str]:
        """Those of the resource, decoded."""
        return _pairs(self.resource_attributes)

    @field_validator("exporter_otlp_endpoint", "exporter_otlp_traces_endpoint")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be a URL that begins with http:// or https://")
        if parts.username or parts.password:
            raise ValueError("has a name or a password in it: those belong into OTEL_EXPORTER_OTLP_HEADERS")
        return value

    @field_validator("resource_attributes")
    @classmethod
    def _are_pairs(cls, value: str) -> str:
        _pairs(value)
        return value

    @model_validator(mode="after")
    def _headers_can_be_sent(self) -> "TraceSettings":
        for name, value in self.header_fields.items():
            if not (name + value).isascii() or not (name + value).isprintable() or " " in name:
                raise ValueError("OTEL_EXPORTER_OTLP_HEADERS holds a field that cannot be sent")
        return self


def _pairs(joined: str) -> dict[str, str]:
    """Raises ValueError that quotes nothing: it may be a secret."""
    pairs = {}
    for part in filter(None, (part.strip() for part in joined.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError("each part is `name=value`")
        pairs[unquote(name.strip())] = unquote(value.strip())
    return pairs

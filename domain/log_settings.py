"""Settings of request logs, and of the journals that they are written down in first."""

from pydantic import Field, SecretStr, field_validator

from domain.log_store.address import parse_address
from domain.setting_concern import Concern


class LogSettings(Concern, env_prefix="LOG_"):
    """Request logs and the process's own log."""

    level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Threshold of the process's own log."
    )
    retention_days: int = Field(default=3, ge=1, le=3_650, description="Days of request logs that are kept.")
    store_url: SecretStr = Field(
        default=SecretStr(""),
        description="ClickHouse for request logs, as clickhouse://user:password@host:8123/database, or clickhouses:// for HTTPS; empty: PostgreSQL alone.",
    )
    store_postgres_days: int = Field(
        default=1,
        ge=1,
        le=365,
        description="With a log store: whole days before today whose request logs stay in PostgreSQL too.",
    )

    store_rollup_days: int = Field(
        default=45,
        ge=40,
        le=3_650,
        description="With a log store: days whose rollups by key stay in PostgreSQL, more than the longest limit counts; older ones move.",
    )

    @field_validator("store_url")
    @classmethod
    def _is_address(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            parse_address(value.get_secret_value())
        return value


class JournalSettings(Concern, env_prefix="JOURNAL_"):
    """The journal: where every answered request is written down before its last byte is sent."""

    segment_mb: int = Field(default=8, ge=1, le=1_024, description="Size of one file of a worker's journal.")
    max_mb: int = Field(
        default=4_096,
        ge=16,
        le=1_048_576,
        description="Disk that a worker's journal may take while PostgreSQL is away; then requests are refused with 503.",
    )
    fsync_ms: int = Field(
        default=1_000,
        ge=0,
        le=60_000,
        description="Journals are forced to the disk this often; a power cut loses at most that. 0 leaves it to the kernel.",
    )

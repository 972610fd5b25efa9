"""Settings of the job workers, and of how long what they look after is kept."""

from typing import Self

from pydantic import Field

from domain.setting_concern import LAST_PORT, Concern, Port


class JobSettings(Concern, env_prefix="JOBS_"):
    """Work by the clock: partitions, summaries, subscriptions, sweeps, reports."""

    host: str = Field(
        default="127.0.0.1",
        description="Address that /health, /ready and /metrics of the workers are bound to: never a public one.",
    )
    port: Port = Field(default=9993, description="Port of these; 0 turns them off.")
    concurrency: int = Field(default=4, ge=1, le=50, description="Jobs that one process runs at once.")
    shutdown_seconds: float = Field(
        default=5.0,
        ge=0,
        le=3_600,
        description="On stop running jobs may finish for this long; then they are put back.",
    )
    takeover_seconds: float = Field(
        default=30.0, ge=1, le=600, description="The job of a worker that died is taken over after about this long."
    )
    reminder_days: int = Field(
        default=3, ge=1, le=30, description="Days before its end that people are reminded of a trial or a period."
    )
    kept_days: int = Field(
        default=30,
        ge=1,
        le=3_650,
        description="Sent mails, ended webhook deliveries, and dead invitations and access tokens are kept this long.",
    )
    history_days: int = Field(default=30, ge=1, le=3_650, description="Days for which runs of jobs are kept.")

    def moved(self, offset: int) -> Self:
        """The same with its port moved; a port of 0 stays off. Raises ValueError behind the last port."""
        if not self.port:
            return self
        if self.port + offset > LAST_PORT:
            raise ValueError(f"PORT_OFFSET: {offset} moves the jobs' port behind {LAST_PORT}")
        return self.model_copy(update={"port": self.port + offset})

"""Settings of asynchronous operations: what a job may hold, how long its result is kept, and who sends it upstream."""

from pydantic import Field, field_validator

from domain.setting_concern import Concern


class AsyncSettings(Concern, env_prefix="ASYNC_"):
    """Asynchronous operations: requests that are answered 202 and done by the upstream in its own time."""

    callback_url: str = Field(
        default="",
        description="Where upstreams reach the gateway with their callbacks, such as https://api.example.com; empty: PORTAL_GATEWAY_URL, or http://localhost with the gateway's port.",
    )
    dispatch: bool = Field(
        default=True, description="Whether portal processes send jobs upstream; they have to reach the upstreams then."
    )
    concurrency: int = Field(default=20, ge=1, le=500, description="Jobs that one process sends at once at the most.")
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=0,
        le=16_777_216,
        description="Request body of a job; more is 413. It is kept until the job ends.",
    )
    max_result_bytes: int = Field(
        default=1_048_576, ge=0, le=16_777_216, description="Result of a job; a job with a larger one fails."
    )
    result_days: int = Field(default=7, ge=1, le=365, description="Days for which the result of a job can be fetched.")
    kept_days: int = Field(
        default=90,
        ge=1,
        le=3_650,
        description="Days for which a job that has ended is listed; at least as long as its result, and as the request logs of its day. Its charge stays in the ledger.",
    )
    callback_skew_seconds: int = Field(
        default=300, ge=10, le=3_600, description="A callback whose timestamp is further away than this is refused."
    )

    @property
    def days(self) -> int:
        """How long a job is kept after its end: not shorter than its result."""
        return max(self.kept_days, self.result_days)

    @field_validator("callback_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

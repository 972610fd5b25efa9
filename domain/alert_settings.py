"""Settings of the alerts: who is told, and from where on. What customers are told of their plan's limits is no setting."""

from pydantic import Field, field_validator

from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue
from domain.setting_concern import Concern


class AlertSettings(Concern, env_prefix="ALERT_"):
    """Alerts: low credits of customers; error rates and costs, which operators are told of."""

    email: str = Field(
        default="",
        pattern=r"^([^\s@,]+@[^\s@,]+)?$",
        description="Address that operators' alerts are mailed to; empty: they only stand in the list of open alerts.",
    )
    low_credits_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        description="Customers are told when their balance falls below this share of what they last bought, or were given; 0: never.",
    )
    error_percent: int = Field(
        default=20,
        ge=0,
        le=100,
        description="Share of failures of a service or operation that is an alert, of this and the last hour; 0: none.",
    )
    error_requests: int = Field(
        default=100, ge=1, le=1_000_000_000, description="Of fewer requests than this no share of failures is an alert."
    )
    organization_cost: str = Field(
        default="0", description="Credits charged to one organization in a UTC day that are an alert; 0: none."
    )
    total_cost: str = Field(
        default="0", description="Credits charged to all organizations in a UTC day that are an alert; 0: none."
    )

    @field_validator("organization_cost", "total_cost")
    @classmethod
    def _is_amount(cls, value: str) -> str:
        try:
            parse_credits(value)
        except InvalidValue as fault:
            raise ValueError(str(fault)) from None
        return value

    @property
    def organization_cost_micro(self) -> int:
        """The same in micro-credits."""
        return parse_credits(self.organization_cost)

    @property
    def total_cost_micro(self) -> int:
        """The same in micro-credits."""
        return parse_credits(self.total_cost)

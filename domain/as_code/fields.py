"""The fields of plans, services, operations and operators in a file: one table for reading, writing and the JSON Schema."""

from dataclasses import dataclass
from typing import Any

from domain.limit_texts import LARGEST_AMOUNT
from domain.operators import OperatorRole
from domain.plan_prices import LARGEST_QUOTA_COST
from domain.plans import HIGHEST_RANK, LONGEST_DAYS, MOST_LOG_DAYS

INT32 = 2**31 - 1
INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is text, flag, number, credits, texts, plan, limits or prices; None as default: see `help`."""

    name: str
    kind: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = INT32
    nullable: bool = False
    longest: int = 10_000


def _flag(name: str, help_: str, *, default: bool = False) -> Field:
    return Field(name, "flag", default, help_)


_NAME = Field("name", "text", None, "As customers see it; default: the slug.", longest=120)
LIMIT_FIELDS = ("limits", "shadow_limits", "quotas", "shadow_quotas")
PLAN = (
    _NAME,
    Field("description", "text", "", "One or two sentences for the price list."),
    _flag("active", "An inactive plan takes no new subscriptions.", default=True),
    _flag("public", "Shown in the price list.", default=True),
    Field("price_cents", "number", 0, "Price of a month in the currency's hundredths.", most=10**12),
    Field("currency", "text", "USD", "ISO 4217; it never changes.", longest=3),
    Field("sort_order", "number", 0, "Rank: a higher plan has a greater number.", most=HIGHEST_RANK),
    Field("overage", "text", "block", "When quotas are used up: block, or use credits.", choices=("block", "credits")),
    Field("trial_days", "number", 0, "Length of a trial in days; 0: none.", most=LONGEST_DAYS),
    Field("trial_calls", "number", None, "Most requests in a trial; null: as the limits say.", least=1, most=LARGEST_AMOUNT, nullable=True),
    Field("grace_days", "number", 3, "Days after an unpaid period in which the plan still applies.", most=LONGEST_DAYS),
    Field("log_days", "number", None, "Days of request logs that are kept; null: as for everybody.", least=1, most=MOST_LOG_DAYS, nullable=True),
    Field("limits", "limits", {}, "Enforced, by name: 1000/hour, 5/second per key on SERVICE:OPERATION, 10 concurrent."),
    Field("shadow_limits", "limits", {}, "The same, only counted."),
    Field("quotas", "limits", {}, "Units that operations take, by name: 50000/month, 2000/day on SERVICE."),
    Field("shadow_quotas", "limits", {}, "The same, only counted."),
    Field("prices", "prices", {}, "By service and operation: price in credits and quota_cost in units on this plan."),
)  # fmt: skip
_TIMEOUTS = (
    Field("connect_timeout_ms", "number", 5000, "Milliseconds to connect to the upstream.", least=1),
    Field("first_byte_timeout_ms", "number", 30000, "Milliseconds until the upstream's answer begins.", least=1),
    Field("idle_timeout_ms", "number", 60000, "Longest pause in the upstream's answer, in milliseconds.", least=1),
    Field("total_timeout_ms", "number", 0, "Milliseconds for the whole exchange; 0: no limit."),
    Field("max_connections", "number", 256, "Connections of one worker to one upstream at the most.", least=1),
    Field("max_body_bytes", "number", 0, "Largest request body; 0: no limit.", most=INT64),
)
SERVICE = (
    _NAME,
    Field("description", "text", "", "What it does."),
    Field("category", "text", "", "Groups services in the catalog."),
    Field("icon", "text", "", "Name of an icon."),
    Field("colour", "text", "", "CSS colour of its card."),
    Field("sort_order", "number", 0, "Place in the catalog.", least=-(2**31)),
    Field("version", "text", "", "Version of the API, for display."),
    _flag("enabled", "A disabled service answers 404.", default=True),
    _flag("featured", "Shown first in the catalog."),
    _flag("beta", "Marked as beta in the catalog."),
    _flag("coming_soon", "Shown in the catalog, refused by the gateway."),
    Field("minimum_plan", "plan", None, "Lowest plan that may call it; null: any.", nullable=True),
    Field("prefix", "text", None, "Where the gateway serves it, such as /weather.", longest=255),
    _flag("keep_prefix", "Send the prefix on to the upstream."),
    Field("upstreams", "texts", None, "URLs that requests go to, balanced; 'URL weight=3' gets more."),
    Field("charge_on", "text", "success", "Which answers cost: success, or every response.", choices=("success", "response")),
    *_TIMEOUTS,
    _flag("tls_verify", "Verify the upstream's certificate.", default=True),
    Field("cors_origins", "texts", (), "Origins that browsers may call from."),
    Field("job_concurrency", "number", 0, "Jobs of asynchronous operations at work at once; 0: no limit.", most=100_000),
    Field("job_timeout_seconds", "number", 3600, "Longest life of a job, from its acceptance.", least=1, most=604_800),
)  # fmt: skip
OPERATION = (
    Field("name", "text", None, "In scopes, logs and bills; default: method and path.", longest=120),
    Field("price", "credits", 0, "Credits for a request, at most six decimals; with a formula, at the most.", most=INT64),
    Field("cost_formula", "text", "", "Price by the request's fields; empty: fixed.", longest=500),
    Field("quota_cost", "number", 1, "Units that a request takes of quotas.", most=LARGEST_QUOTA_COST),
    Field("minimum_plan", "plan", None, "Lowest plan that may call it; null: any.", nullable=True),
    _flag("reserved", "Reserve the price durably before the request goes out."),
    _flag("replays", "Answer a repeated Idempotency-Key with the stored outcome."),
    _flag("asynchronous", "Answered 202 with a job, which the upstream does in its own time."),
    _flag("enabled", "A disabled operation answers 404.", default=True),
)  # fmt: skip
PRICE = (
    Field("price", "credits", None, "Credits for a request; left out: as for everybody.", most=INT64, nullable=True),
    Field("quota_cost", "number", None, "Units; left out: as for everybody.", most=LARGEST_QUOTA_COST, nullable=True),
)
NO_ROLE = "none"
OPERATOR = (
    Field("role", "text", NO_ROLE, "What they may do in the back office; none: dismissed.", choices=(*(role.value for role in OperatorRole), NO_ROLE)),
)  # fmt: skip
FIELDS = {"plan": PLAN, "service": SERVICE, "operation": OPERATION, "operator": OPERATOR}
REQUIRED = {"plan": (), "service": ("prefix", "upstreams"), "operation": (), "operator": ("role",)}
"""What a new one cannot do without."""

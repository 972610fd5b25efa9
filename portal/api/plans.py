"""The plans on offer, for anybody."""

from pydantic import ConfigDict

from domain.limit_texts import LimitSpec
from domain.plan_offers import public_plans
from domain.plans import PlanRecord
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, ListPage
from portal.web.admission import Audience
from portal.web.visit import Visit


class PlanLimitAnswer(Answer):
    """So many requests or quota units (`unit`) in one `period`, shared (`organization`) or for each `key`."""

    name: str
    amount: int
    period: str
    scope: str
    unit: str
    service: str | None
    operation: str | None
    shadow: bool


class PlanAnswer(Answer):
    """A plan. `price_cents` is for a month, in hundredths of the currency; null `trial_calls`: no number of calls."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slug": "pro", "name": "Pro", "description": "For production.", "price_cents": 1900,
                    "currency": "USD", "overage": "block", "trial_days": 14, "trial_calls": None,
                    "limits": [
                        {
                            "name": "hour", "amount": 10000, "period": "hour", "scope": "organization",
                            "unit": "requests", "service": None, "operation": None, "shadow": False,
                        }
                    ],
                }
            ]
        }
    )  # fmt: skip

    slug: str
    name: str
    description: str
    price_cents: int
    currency: str
    overage: str
    trial_days: int
    trial_calls: int | None
    limits: list[PlanLimitAnswer]


def limit_answer(limit: LimitSpec) -> PlanLimitAnswer:
    """One limit of a plan."""
    return PlanLimitAnswer.model_validate(limit)


def plan_answer(plan: PlanRecord) -> PlanAnswer:
    """One plan."""
    return PlanAnswer(
        slug=plan.slug,
        name=plan.name,
        description=plan.description,
        price_cents=plan.price_cents,
        currency=plan.currency,
        overage=plan.overage,
        trial_days=plan.trial_days,
        trial_calls=plan.trial_calls,
        limits=[limit_answer(limit) for limit in plan.limits],
    )


async def show(visit: Visit) -> ListPage[PlanAnswer]:
    """GET /api/plans."""
    return ListPage[PlanAnswer](data=[plan_answer(plan) for plan in await public_plans(visit.connection)])


ENDPOINTS = (
    Endpoint(
        "GET",
        "/plans",
        show,
        "List the plans on offer, lowest first",
        "subscription",
        answer=ListPage[PlanAnswer],
        audience=Audience.ANYONE,
        also=(401, 404),
    ),
)

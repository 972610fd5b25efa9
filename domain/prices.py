"""What one request costs, in micro-credits and in units of quotas: the plan's word goes before the operation's own."""

from domain.plan_terms import PlanTerms
from domain.snapshots import OperationSnapshot, PlanSnapshot


def price_micro(plan: PlanSnapshot | PlanTerms, operation: OperationSnapshot | None) -> int:
    """Micro-credits of a request; a service's default operation is free."""
    if operation is None:
        return 0
    return plan.prices.get(operation.id, operation.price_micro)


def quota_cost(plan: PlanSnapshot | PlanTerms, operation: OperationSnapshot | None) -> int:
    """Units of a request; a service's default operation takes one."""
    if operation is None:
        return 1
    return plan.quota_costs.get(operation.id, operation.quota_cost)

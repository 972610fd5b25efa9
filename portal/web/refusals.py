"""The status of a page that tells of a fault itself."""

from domain.faults import Fault
from portal.web.failures import failure_of


def refusal_status(fault: Fault) -> int:
    """The same status that the API answers with."""
    failure = failure_of(fault)
    return failure.status if failure else 422

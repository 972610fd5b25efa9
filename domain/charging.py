"""What is charged: the published table (docs/callers.md), as one function."""

from domain.credit_amounts import parse_credits
from domain.faults import InvalidValue

UPGRADED = 101


def is_charged(charge_on: str, outcome: str, status: int, *, headers_arrived: bool) -> bool:
    """Whether a request costs its price.

    `outcome` is that of its record: served, refused (by us, whatever the upstream said), failed, cut or gone. `status` is that of the upstream's answer once
    its headers have arrived. A tunnel is charged when it begins. Where `charge_on` is response, headers are enough;
    where it is success, an answer of 2xx or 3xx that was not cut, or whose client did not wait for its end.
    """
    if not headers_arrived or outcome == "refused":
        return False
    if status == UPGRADED or charge_on == "response":
        return True
    return 200 <= status < 400 and outcome in {"served", "gone"}


def is_paid_in_part(charge_on: str, outcome: str, status: int, *, headers_arrived: bool, sent: int) -> bool:
    """Whether what was delivered of an answer is paid, where that has a price.

    Once `sent` is more than nothing, neither its end nor who caused it says anything.
    """
    if sent and outcome != "refused":
        outcome = "gone"
    return is_charged(charge_on, outcome, status, headers_arrived=headers_arrived)


def reported_cost(text: bytes, held: int) -> int | None:
    """Micro-credits of an upstream's X-PE-Cost, a decimal number of credits; None: it is none, or more than was held."""
    try:
        cost = parse_credits(text.decode("latin-1"))
    except InvalidValue:
        return None
    return cost if cost <= held else None

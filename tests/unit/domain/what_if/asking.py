"""Requests and sides for tests of replays."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from domain.snapshots import LimitSnapshot, OperationSnapshot, PlanSnapshot
from domain.what_if.pricing import Asked, offers_of
from domain.what_if.purses import Purse
from domain.what_if.sides import _GONE, Side
from tests.snapshots import key

SERVICE, OTHER = UUID(int=1), UUID(int=2)
FORECAST, HISTORY = UUID(int=11), UUID(int=12)
KEYS = (UUID(int=21), UUID(int=22))
BEGIN = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
"""The day on which clocks in Europe go back."""


def operation(id_, name, **changes):
    values = {"method": "GET", "path_pattern": f"/{name}", "price_micro": 0, "reserved": False, "enabled": True}
    return OperationSnapshot(id=id_, name=name, **(values | changes))


def services(**changes):
    """The service with both operations; `changes` are of forecast."""
    sold = (operation(FORECAST, "forecast", **changes), operation(HISTORY, "history"))
    return {SERVICE: replace(_GONE, id=SERVICE, slug="weather", route_prefix=b"/weather", operations=sold)}


def limit(
    name, amount, period, *, scope="organization", shadow=False, unit="requests", service=None, operation_id=None
):
    return LimitSnapshot(
        UUID(int=hash(name) & (2**64 - 1)), name, amount, period, scope, shadow, service, operation_id, unit
    )


def plan(*limits, overage="block", prices=None, units=None):
    return PlanSnapshot(UUID(int=99), "p", "P", 0, limits, overage, prices or {}, units or {})


def asked(at_us, *, key_id=KEYS[0], operation_id=FORECAST, service_id=SERVICE, **changes):
    values = {
        "total_us": 1_000, "status": 200, "outcome": "served", "refusal": None, "sent": True, "cost_micro": 0,
        "id": UUID(int=at_us), "bytes_in": 0, "bytes_out": 0, "query": "", "path": "/weather/forecast",
    }  # fmt: skip
    values = {**values, **changes}
    return Asked(key_id=key_id, service_id=service_id, operation_id=operation_id, begun_us=at_us, **values)


def side(sold, *, billing_mode="credits", anchor=None, balance=0, offered=None, purse=None, **more):
    offered = offered or services()
    organization = replace(key(), billing_mode=billing_mode, period_start=anchor and anchor.timestamp())
    return Side(organization, sold, offered, offers_of(offered), purse or Purse(balance), **more)

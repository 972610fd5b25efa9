"""An interpreter shares the names of at most 30 attributes among the objects of a class; one more costs each of them."""

from types import SimpleNamespace
from typing import Any, cast

from gateway.exchange import Exchange
from tests.unit.gateway.sample_requests import a_request

MOST = 30


def test_an_exchange_has_no_more_attributes_than_are_cheap() -> None:
    """What is new about a request belongs to what is known of its head, or stands in for something else."""
    made = Exchange(a_request(), cast("Any", SimpleNamespace()), cast("Any", SimpleNamespace()))
    in_class = {
        name
        for name, value in vars(Exchange).items()
        if not name.startswith("__") and not callable(value) and not isinstance(value, property)
    }
    assert len(in_class | set(Exchange.__annotations__) | set(vars(made))) <= MOST

"""A connection and a customer, as the actions have them."""

from tests.integration.admin.actions.conftest import connection, customer

__all__ = ["connection", "customer"]

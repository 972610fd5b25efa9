"""Piccolo's engine without a connection of its own: it works on one that is lent to it, or not at all.

So nothing that piccolo-admin does can be outside of the transaction that its guard began: read-only, and with a time-out.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

from piccolo.engine.postgres import PostgresEngine

_ADDRESSES = (IPv4Address, IPv4Interface, IPv6Address, IPv6Interface)


@dataclass(frozen=True, slots=True)
class Loan:
    """A connection in a transaction that somebody else began and will end."""

    connection: Any


class LentEngine(PostgresEngine):
    """One for the process; each request lends it its own connection."""

    def __init__(self) -> None:
        super().__init__(config={})

    async def check_version(self) -> None:
        """Nothing to connect to."""

    async def prep_database(self) -> None:
        """Nothing to connect to."""

    async def get_new_connection(self) -> Any:
        """Raise: a query outside of a loan would be outside of every guard."""
        raise RuntimeError("Piccolo has no connection here: lend it one.")

    def transform_response_to_dicts(self, results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows as Piccolo knows them; it has no type for addresses, so they become text."""
        return [{name: _plain(value) for name, value in row.items()} for row in results]

    @contextmanager
    def lent(self, connection: Any) -> Iterator[None]:
        """All queries in the block, and in the tasks that it starts, run on this connection."""
        token = self.current_transaction.set(Loan(connection))  # type: ignore[arg-type]
        try:
            yield
        finally:
            self.current_transaction.reset(token)

    @property
    def connection(self) -> Any:
        """The connection that is lent at this moment. Raises RuntimeError without one."""
        loan = self.current_transaction.get()
        if loan is None:
            raise RuntimeError("Piccolo has no connection here: lend it one.")
        return loan.connection


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, _ADDRESSES) else value


ENGINE = LentEngine()

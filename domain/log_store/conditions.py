"""Filters of request logs as conditions of ClickHouse: texts that are literals, with every value a bound parameter.

They mean what those of `domain.log_search` and `domain.log_reading` mean to PostgreSQL; tests compare the two.
"""

from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import Any
from uuid import UUID

from domain.cursors import Cursor
from domain.log_search import LogSearch
from domain.log_store.clickhouse import micros
from domain.request_ids import time_of

AROUND_AN_ID = timedelta(days=1)
_MAPPED = int(IPv6Address("::ffff:0:0"))


class Conditions:
    """Conditions that must all hold, and the values of their parameters."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.values: dict[str, Any] = {}

    def __str__(self) -> str:
        return " and ".join(self._texts) or "true"

    def add(self, text: str, **values: Any) -> None:
        """One more; `{name:Type}` stands for a value."""
        self._texts.append(text)
        self.values.update(values)

    def between(self, since: datetime | None, until: datetime | None) -> None:
        """Ended at `since` or later, and before `until`."""
        if since is not None:
            self.add("at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", since=micros(since))
        if until is not None:
            self.add("at < fromUnixTimestamp64Micro({until:Int64}, 'UTC')", until=micros(until))

    def stored_before(self, moment: datetime | None) -> None:
        """What was stored from then on is read from PostgreSQL."""
        if moment is not None:
            self.add("created_at < fromUnixTimestamp64Micro({stored:Int64}, 'UTC')", stored=micros(moment))

    def behind(self, after: Cursor | None) -> None:
        """Rows behind the cursor in the order (at, id) descending."""
        if after is not None:
            self.add(
                "at <= fromUnixTimestamp64Micro({after:Int64}, 'UTC')"
                " and (at < fromUnixTimestamp64Micro({after:Int64}, 'UTC') or id < {after_id:String})",
                after=micros(after.at),
                after_id=after.id,
            )

    def of_request(self, request_id: UUID | None) -> None:
        """The row of this id, which tells its day."""
        if request_id is None:
            return
        made = time_of(request_id)
        if made is None:
            self.add("false")
            return
        self.add(
            "id = {id:String} and at >= fromUnixTimestamp64Micro({id_from:Int64}, 'UTC')"
            " and at <= fromUnixTimestamp64Micro({id_to:Int64}, 'UTC')",
            id=request_id,
            id_from=micros(made - AROUND_AN_ID),
            id_to=micros(made + AROUND_AN_ID),
        )

    def of_search(self, wanted: LogSearch, service_id: UUID | None) -> None:
        """What a search restricts besides times and place; `service_id` is that of its service."""
        self.of_request(wanted.request_id)
        if wanted.key_ids:
            self.add("key_id in {keys:Array(UUID)}", keys=wanted.key_ids)
        for name, text, value in (
            ("service", "service_id = {service:UUID}", service_id),
            ("operation", "operation_id = {operation:UUID}", wanted.operation_id),
            ("lowest", "status >= {lowest:Int64}", wanted.lowest_status),
            ("highest", "status <= {highest:Int64}", wanted.highest_status),
            ("outcome", "outcome = {outcome:String}", wanted.outcome),
            ("refusal", "refusal = {refusal:String}", wanted.refusal),
            ("method", "method = {method:String}", wanted.method),
            ("path", "startsWith(path, {path:String})", wanted.path),
            ("least_us", "total_us >= {least_us:Int64}", wanted.least_us),
        ):
            if value is not None:
                self.add(text, **{name: value})
        if wanted.client is not None:
            self._from_network(wanted.client)

    def _from_network(self, network: IPv4Network | IPv6Network) -> None:
        """Addresses are kept as IPv6, those of version 4 mapped; only a colon tells which one a client had."""
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 4:
            first, last = first + _MAPPED, last + _MAPPED
        self.add(
            "position(ifNull(client, ''), ':') " + ("= 0" if network.version == 4 else "> 0")
            + " and client is not null and client_bits >= toIPv6({net_from:String}) and client_bits <= toIPv6({net_to:String})",
            net_from=IPv6Address(first),
            net_to=IPv6Address(last),
        )  # fmt: skip

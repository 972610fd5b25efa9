"""A crowd of customers: up to a million keys, put into the database by COPY, whose plaintexts follow from a seed.

The rows are those that `domain.keys` writes. Triggers are off while they are written: a million notifications would be
a test of the notifications. No gateway may be running on the database yet.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
from domain.key_digest import HMAC, digest
from domain.key_format import checksum
from schema.credits import EntryType

ROWS_PER_COPY, GRANTS_AT_ONCE = 50_000, 1_000
SERVICES = 20
"""Operations are spread over so many services, at the most."""
ORGANIZATION_COLUMNS = ("id", "slug", "name")
SUBSCRIPTION_COLUMNS = ("id", "organization_id", "plan_id", "period_start", "period_end")
KEY_COLUMNS = ("id", "organization_id", "name", "scheme", "public_id", "prefix", "last4", "digest", "pepper_version")
SERVICE_COLUMNS = ("id", "slug", "name", "route_prefix", "upstreams", "max_connections")
OPERATION_COLUMNS = ("id", "service_id", "name", "method", "path_pattern", "price_micro")


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many of each; key number n belongs to organization n modulo their number. `seed`: 26 base62 characters."""

    keys: int
    organizations: int
    operations: int
    seed: str

    def plaintext(self, number: int) -> str:
        """The key of that number."""
        body = f"pe_live_{number:010d}_{self.seed}{number:06d}"
        return body + checksum(body.encode())

    def spread(self, count: int) -> list[int]:
        """Numbers of `count` keys, evenly over all of them, each of another organization while there are enough."""
        stride = self.keys // count
        return [place * stride + place % min(stride, self.organizations) for place in range(count)]

    @property
    def services(self) -> int:
        """How many services carry the operations."""
        return max(1, min(SERVICES, self.operations // 10))

    def pattern(self, operation: int) -> str:
        """The path pattern of an operation behind its service's prefix: literal ones and such with parameters."""
        return (
            f"/group{operation % 7}/things{operation}",
            f"/group{operation % 7}/things{operation}/{{id}}",
            f"/{{tenant}}/things{operation}",
            f"/group{operation % 7}/{{id}}/parts{operation}",
            f"/things{operation}/*",
        )[operation % 5]

    def path(self, operation: int, number: int) -> str:
        """A path of that operation, asked for by that key."""
        behind = (
            self.pattern(operation).replace("{id}", str(number)).replace("{tenant}", f"t{number}").replace("*", "a/b")
        )
        return f"/crowd{operation % self.services}{behind}"


async def settle(connection: asyncpg.Connection, crowd: Crowd, plan: str, upstream: str, pepper: bytes) -> None:
    """Write them all, in one transaction: organizations on `plan`, their keys, services at `upstream`, operations."""
    plan_id = await connection.fetchval("select id from plan where slug = $1", plan)
    organizations = [_uuid() for _ in range(crowd.organizations)]
    services = [_uuid() for _ in range(crowd.services)]
    now = datetime.now(UTC)
    async with connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await _copy(connection, "organization", ORGANIZATION_COLUMNS, [
            (id_, f"crowd-{number}", f"Crowd {number}") for number, id_ in enumerate(organizations)
        ])  # fmt: skip
        await _copy(connection, "subscription", SUBSCRIPTION_COLUMNS, [
            (_uuid(), id_, plan_id, now, now + timedelta(days=30)) for id_ in organizations
        ])  # fmt: skip
        await _copy(connection, "service", SERVICE_COLUMNS, [
            (id_, f"crowd-{number}", f"Crowd {number}", f"/crowd{number}", f'[{{"url": "{upstream}"}}]', 256)
            for number, id_ in enumerate(services)
        ])  # fmt: skip
        await _copy(connection, "operation", OPERATION_COLUMNS, [
            (_uuid(), services[number % len(services)], f"operation {number}", "GET", crowd.pattern(number), 1)
            for number in range(crowd.operations)
        ])  # fmt: skip
        for rows in _keys(crowd, organizations, pepper):
            await _copy(connection, "api_key", KEY_COLUMNS, rows)
    for first in range(0, len(organizations), GRANTS_AT_ONCE):
        await _grant(connection, organizations[first : first + GRANTS_AT_ONCE])
    await connection.execute("analyze organization, subscription, service, operation, api_key")


async def _grant(connection: asyncpg.Connection, organizations: list[UUID]) -> None:
    """More credits than a measurement spends."""
    async with connection.transaction():
        await lock_accounts(connection, organizations)
        await post(connection, [
            Movement(organization_id=id_, type=EntryType.BONUS, amount_micro=10**12, incoming=True, reason="crowd")
            for id_ in organizations
        ])  # fmt: skip


def _keys(crowd: Crowd, organizations: list[UUID], pepper: bytes) -> Iterator[list[tuple[object, ...]]]:
    for first in range(0, crowd.keys, ROWS_PER_COPY):
        rows: list[tuple[object, ...]] = []
        for number in range(first, min(crowd.keys, first + ROWS_PER_COPY)):
            plaintext = crowd.plaintext(number)
            rows.append((
                _uuid(), organizations[number % len(organizations)], "crowd", HMAC, plaintext[8:18], plaintext[:18],
                plaintext[-4:], digest(plaintext.encode(), pepper), 1,
            ))  # fmt: skip
        yield rows


async def _copy(
    connection: asyncpg.Connection, table: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]
) -> None:
    await connection.copy_records_to_table(table, records=rows, columns=columns, timeout=120)


_numbers = itertools.count(UUID(bytes=os.urandom(8) + bytes(8), version=4).int)


def _uuid() -> UUID:
    """Rising, so that a million of them are put into an index at its end."""
    return UUID(int=next(_numbers))


def lines(crowd: Crowd, numbers: list[int], operations: list[int]) -> str:
    """What wrk's `wrk.lua` asks for: a line `PATH KEY` for each key of `numbers`, operations taken in turn."""
    return "".join(
        f"{crowd.path(operations[place % len(operations)], number)} {crowd.plaintext(number)}\n"
        for place, number in enumerate(numbers)
    )

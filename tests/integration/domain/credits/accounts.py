"""Organizations with accounts, for tests of money."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.credits.movements import Movement, PostedEntry
from domain.credits.posting import lock_accounts, post
from domain.request_ids import new_request_id
from schema.credits import EntryType

NOW = datetime.now(UTC)


async def new_organizations(connection, number: int) -> list[UUID]:
    """Organizations without a subscription; accounts come with the first lock."""
    rows = await connection.fetch(
        "insert into organization (slug, name) select s, s from unnest($1::text[]) as u (s) returning id",
        [f"o{uuid4().hex}" for _ in range(number)],
    )
    return [row["id"] for row in rows]


async def new_organization(connection) -> UUID:
    return (await new_organizations(connection, 1))[0]


def bonus(organization_id: UUID, amount: int, **fields) -> Movement:
    return Movement(organization_id=organization_id, type=EntryType.BONUS, amount_micro=amount, incoming=True, **fields)


def usage(organization_id: UUID, amount: int, **fields) -> Movement:
    given = {"requests": 1, "stored_at": NOW, "first_at": NOW, "last_at": NOW} | fields
    return Movement(organization_id=organization_id, type=EntryType.USAGE, amount_micro=amount, incoming=False, **given)


def lower(organization_id: UUID, amount: int) -> Movement:
    return Movement(
        organization_id=organization_id, type=EntryType.ADJUSTMENT, amount_micro=amount, incoming=False, reason="r"
    )


async def posted(connection, *movements: Movement):
    """Post in one transaction."""
    async with connection.transaction():
        await lock_accounts(connection, [movement.organization_id for movement in movements])
        return await post(connection, movements)


async def remainders(connection, organization_id: UUID) -> list[int]:
    """Of the grants, in the order in which they burn."""
    rows = await connection.fetch(
        "select remaining_micro from credit_grant where organization_id = $1"
        " order by priority, expires_at nulls last, created_at, id",
        organization_id,
    )
    return [row["remaining_micro"] for row in rows]


async def account(connection, organization_id: UUID) -> dict:
    row = await connection.fetchrow("select * from credit_account where organization_id = $1", organization_id)
    return {name.removesuffix("_micro"): row[name] for name in row.keys() if name.endswith("_micro")}  # noqa: SIM118


async def hold(connection, organization_id: UUID, *, leased: int = 0, reserved: int = 0) -> None:
    """Change what is held by these amounts, as leases and reservations do."""
    await connection.execute(
        "update credit_account set leased_micro = leased_micro + $2, reserved_micro = reserved_micro + $3"
        " where organization_id = $1",
        organization_id,
        leased,
        reserved,
    )


async def become_due(connection, organization_id: UUID) -> None:
    """The grants that expire some day are due now."""
    await connection.execute(
        "update credit_grant set expires_at = now() - interval '1 second'"
        " where organization_id = $1 and expires_at is not null",
        organization_id,
    )


async def serve(connection, costs: dict[UUID, list[int]], *, held: str = "leased") -> list[PostedEntry]:
    """Store requests with these costs and charge them, as the ingester does: one transaction, one time of storing."""
    async with connection.transaction():
        await lock_accounts(connection, costs)
        now = await connection.fetchval("select now()")
        movements = []
        for owner, amounts in costs.items():
            times = [now - timedelta(milliseconds=10 + number) for number in range(len(amounts))]
            await connection.executemany(
                "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in,"
                " bytes_out, cost_micro) values ($1, $2, $3, 'GET', '/x', 200, 'served', 1, 0, 0, $4)",
                [(new_request_id(), at, owner, cost) for at, cost in zip(times, amounts, strict=True)],
            )
            charged = [(at, cost) for at, cost in zip(times, amounts, strict=True) if cost]
            if charged:
                total = sum(cost for _, cost in charged)
                movements.append(
                    usage(
                        owner,
                        total,
                        requests=len(charged),
                        stored_at=now,
                        first_at=min(charged)[0],
                        last_at=max(charged)[0],
                        **({f"{held}_micro": -total} if held else {}),
                    )
                )
        return await post(connection, movements)

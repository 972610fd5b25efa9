"""Organizations with accounts, for tests of money."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
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

"""The product's own role and database on the embedded server: the product never works as superuser."""

import asyncpg

ROLE = "paid_endpoint"


async def ensure_database(superuser_url: str, password: str) -> None:
    """Make the role with this password, and its database; both may exist."""
    connection = await asyncpg.connect(superuser_url)
    try:
        verb = "alter" if await connection.fetchval("select 1 from pg_roles where rolname = $1", ROLE) else "create"
        await connection.execute(f"{verb} role {ROLE} login password '{password}'")
        if not await connection.fetchval("select 1 from pg_database where datname = $1", ROLE):
            await connection.execute(f"create database {ROLE} owner {ROLE}")
    finally:
        await connection.close()

"""The step between running databases and a running gateway: this version's schema, and the demo."""

import importlib
from collections.abc import Callable
from typing import Any

import asyncpg

from cli.supervisor.demo import DemoFile
from cli.supervisor.failures import SupervisorError
from cli.supervisor.product import Product
from domain.faults import DatabaseUnreachable, MigrationFailed, SchemaMismatch
from domain.migrating import migrate
from domain.settings import load_settings


def migrate_and_seed(product: Product, demo_file: DemoFile, report: Callable[[str], None]) -> dict[str, str]:
    """Migrate, seed, write demo.env. Returns its pairs; none without the demo. Raises SupervisorError."""
    database_url = product.instance.pairs["DATABASE_URL"]
    try:
        product.inbox.run(migrate(database_url))
    except (DatabaseUnreachable, MigrationFailed, SchemaMismatch) as error:
        raise SupervisorError(str(error), "Look at DATABASE_URL with: paid-endpoint doctor") from error
    if not product.demo:
        return {}
    seeded = product.inbox.run(_seed(product, rotate_keys=not demo_file.has_keys))
    if demo_file.existed and not demo_file.has_keys:
        report("demo.env had lost its keys: the demo keys were replaced.")
    return demo_file.write(seeded)


async def _seed(product: Product, *, rotate_keys: bool) -> dict[str, str]:
    settings = load_settings()  # again: instance.env holds peppers and addresses by now
    pairs = product.instance.pairs
    seed: Any = importlib.import_module("domain.seed").seed
    connection = await asyncpg.connect(pairs["DATABASE_URL"])
    try:
        seeded: dict[str, str] = await seed(
            connection,
            settings.keys,
            upstream_url=product.upstream_url,
            default_upstream_url=settings.upstream.api_url or product.upstream_url,
            user_password=pairs["USER_PASSWORD"],
            admin_password=pairs["ADMIN_PASSWORD"],
            rotate_keys=rotate_keys,
        )
    finally:
        await connection.close()
    return seeded

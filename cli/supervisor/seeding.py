"""The step between running databases and a running gateway: this version's schema, and the demo."""

from collections.abc import Callable

import asyncpg

from cli.supervisor.demo import KEY_NAMES, DemoFile
from cli.supervisor.demo_keys import replace_keys, reset_password
from cli.supervisor.failures import SupervisorError
from cli.supervisor.product import Product
from domain.faults import Fault
from domain.log_store.turning import turn_on_if_set
from domain.migrating import migrate
from domain.renewals import settle_due
from domain.seed import seed
from domain.settings import load_settings


def migrate_and_seed(product: Product, demo_file: DemoFile, report: Callable[[str], None]) -> dict[str, str]:
    """Migrate, seed, write demo.env. Returns its pairs; none without the demo. Raises SupervisorError."""
    try:
        dsn = product.instance.pairs["DATABASE_URL"]
        product.inbox.run(migrate(dsn))
        product.inbox.run(turn_on_if_set(load_settings(), dsn))
        if not product.demo:
            return {}
        return demo_file.write(product.inbox.run(_seed(product, demo_file, report)))
    except Fault as error:
        raise SupervisorError(str(error), "Look closer with: paid-endpoint doctor") from error


async def _seed(product: Product, demo_file: DemoFile, report: Callable[[str], None]) -> dict[str, str]:
    settings = load_settings()  # again: instance.env holds peppers and addresses by now
    instance = product.instance
    connection = await asyncpg.connect(instance.pairs["DATABASE_URL"])
    try:
        seeded = await seed(
            connection,
            settings.keys,
            upstream_url=settings.upstream.api_url or product.upstream_url,
            user_password=instance.pairs["USER_PASSWORD"],
            admin_password=instance.pairs["ADMIN_PASSWORD"],
        )
        # An instance that stood still for a month goes on.
        await settle_due(connection)
        keys = dict(seeded.keys)
        known = {} if "KEY_PEPPERS" in instance.new_secrets else demo_file.keys
        lost = [name for name in KEY_NAMES if name not in keys and not known.get(name)]
        if lost:
            keys |= await replace_keys(connection, settings.keys, lost)
            report(f"The demo's keys were lost with a file of this instance and have been replaced: {', '.join(lost)}.")
        if seeded.user_password is None and "USER_PASSWORD" in instance.new_secrets:
            await reset_password(connection, seeded.user_email, instance.pairs["USER_PASSWORD"])
        if seeded.admin_password is None and "ADMIN_PASSWORD" in instance.new_secrets:
            await reset_password(connection, seeded.admin_email, instance.pairs["ADMIN_PASSWORD"])
    finally:
        await connection.close()
    return {**known, **keys, "USER_EMAIL": seeded.user_email, "ADMIN_EMAIL": seeded.admin_email}

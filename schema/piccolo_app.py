"""The one Piccolo app: every table of the product, its migrations in the top-level `migrations/`."""

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

APP_CONFIG = AppConfig(
    app_name="paid_endpoint",
    migrations_folder_path=str(Path(__file__).resolve().parent.parent / "migrations"),
    table_classes=table_finder(
        [
            "schema.users",
            "schema.accounts",
            "schema.plans",
            "schema.keys",
            "schema.services",
            "schema.usage",
            "schema.credits",
            "schema.idempotency",
            "schema.identity",
            "schema.messages",
            "schema.audit",
            "schema.configuration",
            "schema.legacy",
            "schema.jobs",
            "schema.async_jobs",
        ],
        exclude_imported=True,
    ),
    migration_dependencies=[],
)

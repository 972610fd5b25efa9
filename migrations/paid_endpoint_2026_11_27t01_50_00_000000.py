"""Which row of an older installation became which of ours."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from enum import Enum
from piccolo.columns.column_types import Bytea
from piccolo.columns.column_types import Text
from piccolo.columns.column_types import Timestamptz
from piccolo.columns.column_types import UUID
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check
from piccolo.constraints import Unique

ID = "2026-11-27T01:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "rows of an older installation"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION
    )

    manager.add_table(
        class_name="LegacyRow", tablename="legacy_row", schema=None, columns=None
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="id",
        db_column_name="id",
        column_class_name="UUID",
        column_class=UUID,
        params={
            "default": UUID4(),
            "null": False,
            "primary_key": True,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="created_at",
        db_column_name="created_at",
        column_class_name="Timestamptz",
        column_class=Timestamptz,
        params={
            "default": TimestamptzNow(),
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="source",
        db_column_name="source",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": None,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="kind",
        db_column_name="kind",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": None,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": Enum(
                "LegacyKind", {"PLAN": "plan", "CLIENT": "client", "KEY": "key"}
            ),
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="old_id",
        db_column_name="old_id",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": None,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="new_id",
        db_column_name="new_id",
        column_class_name="UUID",
        column_class=UUID,
        params={
            "default": None,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="fingerprint",
        db_column_name="fingerprint",
        column_class_name="Bytea",
        column_class=Bytea,
        params={
            "default": None,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        column_name="mailed_at",
        db_column_name="mailed_at",
        column_class_name="Timestamptz",
        column_class=Timestamptz,
        params={
            "default": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_constraint(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        constraint_name="uq_legacy_row_source_kind_old_id",
        constraint_class=Unique,
        params={"columns": ["source", "kind", "old_id"], "nulls_distinct": True},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        constraint_name="ck_legacy_row_source",
        constraint_class=Check,
        params={"condition": "length(source) between 1 and 63"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        constraint_name="ck_legacy_row_kind",
        constraint_class=Check,
        params={"condition": "kind in ('plan', 'client', 'key')"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="LegacyRow",
        tablename="legacy_row",
        constraint_name="ck_legacy_row_old_id",
        constraint_class=Check,
        params={"condition": "length(old_id) between 1 and 200"},
        schema=None,
    )

    return manager

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from enum import Enum
from piccolo.columns.base import OnDelete
from piccolo.columns.base import OnUpdate
from piccolo.columns.column_types import Array
from piccolo.columns.column_types import BigInt
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.column_types import Integer
from piccolo.columns.column_types import SmallInt
from piccolo.columns.column_types import Text
from piccolo.columns.column_types import Timestamptz
from piccolo.columns.column_types import UUID
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check
from piccolo.constraints import Unique
from piccolo.table import Table


class Organization(Table, tablename="organization", schema=None):
    id = UUID(
        default=UUID4(),
        null=False,
        primary_key=True,
        unique=False,
        index=False,
        index_method=IndexMethod.btree,
        choices=None,
        db_column_name=None,
        secret=False,
    )


ID = "2026-11-27T05:50:20:000000"
VERSION = "1.38.0"
DESCRIPTION = "what customers chose to be told of"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION
    )

    manager.add_table(
        class_name="AlertChoice",
        tablename="alert_choice",
        schema=None,
        columns=None,
    )

    manager.add_column(
        table_class_name="AlertChoice",
        tablename="alert_choice",
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
        table_class_name="AlertChoice",
        tablename="alert_choice",
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
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="updated_at",
        db_column_name="updated_at",
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
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="organization_id",
        db_column_name="organization_id",
        column_class_name="ForeignKey",
        column_class=ForeignKey,
        params={
            "references": Organization,
            "on_delete": OnDelete.restrict,
            "on_update": OnUpdate.cascade,
            "target_column": None,
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
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="usage_percents",
        db_column_name="usage_percents",
        column_class_name="Array",
        column_class=Array,
        params={
            "default": list,
            "base_column": SmallInt(
                default=0,
                null=False,
                primary_key=False,
                unique=False,
                index=False,
                index_method=IndexMethod.btree,
                choices=None,
                db_column_name=None,
                secret=False,
            ),
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
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="low_credits_micro",
        db_column_name="low_credits_micro",
        column_class_name="BigInt",
        column_class=BigInt,
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

    manager.add_column(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="day_cost_micro",
        db_column_name="day_cost_micro",
        column_class_name="BigInt",
        column_class=BigInt,
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

    manager.add_column(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="error_percent",
        db_column_name="error_percent",
        column_class_name="SmallInt",
        column_class=SmallInt,
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

    manager.add_column(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        column_name="error_requests",
        db_column_name="error_requests",
        column_class_name="Integer",
        column_class=Integer,
        params={
            "default": 100,
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

    manager.add_constraint(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        constraint_name="uq_alert_choice_organization_id",
        constraint_class=Unique,
        params={"columns": ["organization_id"], "nulls_distinct": True},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        constraint_name="ck_alert_choice_usage_percents",
        constraint_class=Check,
        params={"condition": "cardinality(usage_percents) <= 5"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        constraint_name="ck_alert_choice_amounts",
        constraint_class=Check,
        params={"condition": "low_credits_micro >= 0 and day_cost_micro > 0"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        constraint_name="ck_alert_choice_error_percent",
        constraint_class=Check,
        params={"condition": "error_percent between 1 and 100"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="AlertChoice",
        tablename="alert_choice",
        constraint_name="ck_alert_choice_error_requests",
        constraint_class=Check,
        params={"condition": "error_requests between 1 and 1000000000"},
        schema=None,
    )

    manager.alter_column(
        table_class_name="AlertState",
        tablename="alert_state",
        column_name="kind",
        db_column_name="kind",
        params={
            "choices": Enum(
                "AlertKind",
                {
                    "USAGE": "usage",
                    "SPEND_CAP": "spend_cap",
                    "CREDITS_LOW": "credits_low",
                    "USAGE_ERRORS": "usage_errors",
                    "USAGE_COST": "usage_cost",
                    "ERROR_RATE": "error_rate",
                    "DAY_COST": "day_cost",
                },
            )
        },
        old_params={
            "choices": Enum(
                "AlertKind",
                {
                    "USAGE": "usage",
                    "SPEND_CAP": "spend_cap",
                    "CREDITS_LOW": "credits_low",
                    "ERROR_RATE": "error_rate",
                    "DAY_COST": "day_cost",
                },
            )
        },
        column_class=Text,
        old_column_class=Text,
        schema=None,
    )

    return manager

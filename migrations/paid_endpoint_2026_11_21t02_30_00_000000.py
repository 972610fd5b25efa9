from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from enum import Enum
from piccolo.columns.base import OnDelete
from piccolo.columns.base import OnUpdate
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.column_types import Text
from piccolo.columns.column_types import UUID
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check
from piccolo.table import Table


class Operation(Table, tablename="operation", schema=None):
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


class Service(Table, tablename="service", schema=None):
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


ID = "2026-11-21T02:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "limits of one service or operation, and of requests in progress"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION
    )

    manager.add_column(
        table_class_name="PlanLimit",
        tablename="plan_limit",
        column_name="service_id",
        db_column_name="service_id",
        column_class_name="ForeignKey",
        column_class=ForeignKey,
        params={
            "references": Service,
            "on_delete": OnDelete.cascade,
            "on_update": OnUpdate.cascade,
            "target_column": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": True,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.add_column(
        table_class_name="PlanLimit",
        tablename="plan_limit",
        column_name="operation_id",
        db_column_name="operation_id",
        column_class_name="ForeignKey",
        column_class=ForeignKey,
        params={
            "references": Operation,
            "on_delete": OnDelete.cascade,
            "on_update": OnUpdate.cascade,
            "target_column": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": True,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    manager.alter_column(
        table_class_name="PlanLimit",
        tablename="plan_limit",
        column_name="period",
        db_column_name="period",
        params={
            "choices": Enum(
                "LimitPeriod",
                {
                    "SECOND": "second",
                    "MINUTE": "minute",
                    "HOUR": "hour",
                    "DAY": "day",
                    "MONTH": "month",
                    "CONCURRENT": "concurrent",
                },
            )
        },
        old_params={
            "choices": Enum(
                "LimitPeriod",
                {
                    "SECOND": "second",
                    "MINUTE": "minute",
                    "HOUR": "hour",
                    "DAY": "day",
                    "MONTH": "month",
                },
            )
        },
        column_class=Text,
        old_column_class=Text,
        schema=None,
    )

    manager.add_constraint(
        table_class_name="PlanLimit",
        tablename="plan_limit",
        constraint_name="ck_plan_limit_operation_id",
        constraint_class=Check,
        params={
            "condition": "operation_id is null or service_id is not null"
        },
        schema=None,
    )

    return manager

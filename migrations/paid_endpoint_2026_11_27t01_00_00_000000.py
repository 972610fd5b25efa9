"""Operators have roles; a session says where it is good and as whom."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.base import OnDelete
from piccolo.columns.base import OnUpdate
from piccolo.columns.column_types import Boolean
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.column_types import Text
from piccolo.columns.column_types import UUID
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check
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


ID = "2026-11-27T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "operators"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION
    )

    manager.add_column(
        table_class_name="User",
        tablename="users",
        column_name="operator_role",
        db_column_name="operator_role",
        column_class_name="Text",
        column_class=Text,
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
        table_class_name="PortalSession",
        tablename="portal_session",
        column_name="acting_for",
        db_column_name="acting_for",
        column_class_name="ForeignKey",
        column_class=ForeignKey,
        params={
            "references": Organization,
            "on_delete": OnDelete.cascade,
            "on_update": OnUpdate.cascade,
            "target_column": None,
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
        table_class_name="PortalSession",
        tablename="portal_session",
        column_name="acting_may_change",
        db_column_name="acting_may_change",
        column_class_name="Boolean",
        column_class=Boolean,
        params={
            "default": False,
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
        table_class_name="PortalSession",
        tablename="portal_session",
        column_name="face",
        db_column_name="face",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": "portal",
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
        table_class_name="User",
        tablename="users",
        constraint_name="ck_users_operator_role",
        constraint_class=Check,
        params={
            "condition": "operator_role in ('superuser', 'admin', 'support', 'analyst', 'finance')"
        },
        schema=None,
    )

    manager.add_constraint(
        table_class_name="PortalSession",
        tablename="portal_session",
        constraint_name="ck_portal_session_acting",
        constraint_class=Check,
        params={"condition": "acting_for is null or face = 'portal'"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="PortalSession",
        tablename="portal_session",
        constraint_name="ck_portal_session_face",
        constraint_class=Check,
        params={"condition": "face in ('portal', 'admin')"},
        schema=None,
    )

    return manager

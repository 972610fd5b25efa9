"""piccolo-admin itself, made of `admin.tables.shown`: read-only, without its own door, its forms, its writes.

Its bugs are closed here and by the guard in front (`admin.tables.guard`); decision 50 lists them.
"""

import warnings
from functools import cache, lru_cache

from piccolo.table import Table
from piccolo_admin.endpoints import TableConfig, create_admin
from piccolo_api.crud.endpoints import OrderBy, PiccoloCRUD
from starlette.types import ASGIApp

from admin.tables.engine import ENGINE
from admin.tables.sessions import OperatorSessions
from admin.tables.shown import TABLES, Shown
from schema.piccolo_app import APP_CONFIG
from schema.users import User

PAGE_SIZE = 15


@lru_cache(maxsize=1)
def panel() -> ASGIApp:
    """The application; made once, as it takes a second. From then on these tables work on connections that are lent."""
    tables: tuple[type[Table], ...] = (*APP_CONFIG.table_classes, OperatorSessions)
    for table in tables:
        table._meta.db = ENGINE  # noqa: SLF001  Piccolo has no other way to say it
    with warnings.catch_warnings():
        # It warns of columns that are both secret and required, which matters to who writes through it.
        warnings.simplefilter("ignore")
        app: ASGIApp = create_admin(
            tables=[_config(shown) for shown in TABLES],
            auth_table=User,
            session_table=OperatorSessions,
            increase_expiry=None,
            page_size=PAGE_SIZE,
            read_only=True,
            auto_include_related=False,
            site_name="Tables",
            default_language_code="en",
        )
    return app


@cache
def crud(shown: Shown) -> PiccoloCRUD:
    """The table's rules of reading, to check a question and to count by it."""
    panel()
    return PiccoloCRUD(shown.table, page_size=PAGE_SIZE)


def _config(shown: Shown) -> TableConfig:
    column = shown.table._meta.get_column_by_name  # noqa: SLF001
    order = shown.order.removeprefix("-")
    return TableConfig(
        shown.table,
        visible_columns=[column(name) for name in shown.columns.split()],
        visible_filters=[column(name) for name in shown.filters.split()],
        link_column=column(shown.link),
        order_by=[OrderBy(column(order), ascending=order == shown.order)],
        menu_group=shown.group,
    )

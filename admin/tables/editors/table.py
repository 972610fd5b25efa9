"""Every table whose rows may be written by hand; `admin.tables.permissions` says by whom."""

from collections.abc import Mapping

from admin.tables.editors.customers import ORGANIZATION, USER
from admin.tables.editors.editor import Editor
from admin.tables.editors.plans import PLAN, PLAN_LIMIT, PLAN_PRICE
from admin.tables.editors.services import OPERATION, SERVICE

EDITORS: Mapping[str, Editor] = {
    "organization": ORGANIZATION,
    "users": USER,
    "plan": PLAN,
    "plan_limit": PLAN_LIMIT,
    "plan_price": PLAN_PRICE,
    "service": SERVICE,
    "operation": OPERATION,
}

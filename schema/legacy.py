"""What came from an older installation: which row became which of ours."""

from enum import StrEnum

from piccolo.columns import UUID, Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class LegacyKind(StrEnum):
    """What the older row was. It became a plan, an organization, an API key."""

    PLAN = "plan"
    CLIENT = "client"
    KEY = "key"


class LegacyRow(Table, tablename="legacy_row"):
    """One row of an older installation that was imported. One that was skipped has none, so that it can come later."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    source = Text(default=None, required=True, help_text="The older installation's name, as the operator gave it.")
    kind = Text(default=None, required=True, choices=LegacyKind, help_text="What the older row was.")
    old_id = Text(default=None, required=True, help_text="Its id there.")
    new_id = UUID(default=None, required=True, help_text="The id of what was made of it.")
    fingerprint = Bytea(
        default=None, required=True, help_text="Four bytes of SHA-256 for each column, to see what changed there since."
    )
    mailed_at = Timestamptz(
        null=True, default=None, help_text="Of a client: when its owner was mailed a link to choose a password."
    )

    uq_legacy_row_source_kind_old_id = Unique([source, kind, old_id])
    ck_legacy_row_source = Check("length(source) between 1 and 63")
    ck_legacy_row_kind = Check("kind in ('plan', 'client', 'key')")
    ck_legacy_row_old_id = Check("length(old_id) between 1 and 200")

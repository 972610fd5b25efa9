"""What was applied as code. Append-only by trigger."""

from piccolo.columns import JSONB, UUID, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check
from piccolo.table import Table


class AppliedConfig(Table, tablename="applied_config"):
    """One file of `paid-endpoint apply`, as it was, or the state that it met and nobody had applied."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    actor_name = Text(default="", help_text="Who applied it; empty: the state that an apply met.")
    sha256 = Text(default=None, required=True, help_text="Of the text.")
    text = Text(default=None, required=True, help_text="The file.")
    summary = JSONB(default=None, required=True, help_text="Kind, number of changes, digest of the state afterwards.")

    ck_applied_config_sha256 = Check("sha256 ~ '^[0-9a-f]{64}$'")

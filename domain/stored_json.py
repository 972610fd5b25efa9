"""JSON as PostgreSQL can hold it in jsonb: without the character NUL, and otherwise as it was."""

import json
import re
from collections.abc import Callable
from typing import Any

# An escaped NUL; not the six letters \u0000 that somebody wrote, whose backslash is escaped itself.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def stored_json(value: Any, default: Callable[[Any], Any] = str) -> str:
    """The JSON of a value; `default` makes something of what JSON does not know."""
    return _NUL.sub(r"\1", json.dumps(value, default=default))

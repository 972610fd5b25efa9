"""The settings model as rows for people, for `.env.example` and for docs/settings.md; secrets never leave this module."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from domain.settings import Settings

REDACTED = "***"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting. `value` and `default` are texts as they would stand in the environment, secrets redacted."""

    concern: str
    concern_title: str
    name: str
    value: str
    default: str
    is_default: bool
    description: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def setting_rows(settings: Settings) -> list[SettingRow]:
    """Every field of every concern, in the order of the model."""
    return [
        _row(concern, values, field)
        for concern, values in settings.concerns().items()
        for field in type(values).model_fields
    ]


def redact(secret: str) -> str:
    """The secret itself never; of a DSN all but its password, because the rest is what one needs to see."""
    parts = urlsplit(secret)
    if not parts.scheme or not parts.netloc:
        return REDACTED if secret else ""
    user, _, address = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{colon}{REDACTED if colon else ''}@{address}" if user else address
    query = re.sub(r"(?i)(password=)[^&]*", rf"\g<1>{REDACTED}", parts.query)
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def _row(concern: str, values: BaseSettings, field: str) -> SettingRow:
    info = type(values).model_fields[field]
    alias = info.validation_alias
    prefix = type(values).model_config.get("env_prefix", "")
    value = getattr(values, field)
    depends = info.default_factory is not None
    default = None if depends else info.default
    return SettingRow(
        concern=concern,
        concern_title=(type(values).__doc__ or concern).splitlines()[0],
        name=alias if isinstance(alias, str) else f"{prefix}{field}".upper(),
        value=_text(value),
        default="" if depends else _text(default),
        is_default=field not in values.model_fields_set or (not depends and value == default),
        description=info.description or "",
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return redact(value.get_secret_value())
    if isinstance(value, bool):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def env_example(settings: Settings) -> str:
    """The text of `.env.example`: every setting, commented out, with its meaning and default."""
    lines = ["# Every setting with its default. Copy to `.env` and take away the `#` of what you change."]
    concern = ""
    for row in setting_rows(settings):
        if row.concern != concern:
            concern = row.concern
            lines += ["", f"# == {row.concern_title}"]
        lines += ["", f"# {row.description}", f"#{row.name}={row.default}"]
    return "\n".join(lines) + "\n"


def settings_page(settings: Settings) -> str:
    """The text of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Read once at start, from (first wins): the environment of the process, the file `.env`, the file",
        "`.data/instance.env` that `paid-endpoint up` writes. `paid-endpoint settings` shows the values in use.",
    ]
    concern = ""
    for row in setting_rows(settings):
        if row.concern != concern:
            concern = row.concern
            lines += ["", f"## {row.concern_title}", "", "| name | default | meaning |", "| --- | --- | --- |"]
        default = f"`{row.default}`" if row.default else "(none)"
        lines.append(f"| `{row.name}` | {default} | {row.description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"

"""The settings model as rows for people, for `.env.example` and for docs/settings.md; secrets never leave this module."""

import json
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
    return urlunsplit(parts._replace(netloc=f"{name}{colon}{REDACTED if colon else ''}@{address}" if user else address))


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
    if isinstance(value, SecretStr):
        return redact(value.get_secret_value())
    if isinstance(value, bool):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, tuple) else str(value)

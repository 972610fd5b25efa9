"""What every concern of the settings has in common: where it is read from, and the checks that several share."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

DATA_DIR = Path(os.environ.get("PE_DATA_DIR") or ".data")  # noqa: TID251  the one module that may
INSTANCE_FILE = DATA_DIR / "instance.env"
ENV_FILES = (str(INSTANCE_FILE), ".env")

Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]
LAST_PORT = 65_535
Port = Annotated[int, Field(ge=0, le=LAST_PORT)]


class Concern(BaseSettings):
    """One concern's settings: frozen, unknown names ignored because each concern sees the whole environment."""

    # An error never quotes what it was given: that may be a pepper or a DSN with its password.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_file=ENV_FILES, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep pydantic's order; spelled out because it is part of the contract above."""
        del settings_cls, file_secret_settings
        return init_settings, env_settings, dotenv_settings


def begins_with(url: SecretStr, *schemes: str) -> SecretStr:
    """The URL. Raises ValueError, which names the schemes and not the URL, if it begins with none of them."""
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"must begin with {' or '.join(schemes)}")
    return url


def versioned(variable: str, joined: SecretStr) -> dict[int, bytes]:
    """Secrets by version, of `version:hex` pairs. Raises ValueError that names the fault, never the secret."""
    secrets: dict[int, bytes] = {}
    for pair in filter(None, (part.strip() for part in joined.get_secret_value().split(","))):
        version, _, text = pair.partition(":")
        if not version.isdigit() or not 1 <= int(version) <= 32_767:
            raise ValueError(f"{variable}: each part is `version:hex` with a version from 1 to 32767")
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise ValueError(f"{variable}: version {version} is not hexadecimal") from None
        if len(value) < 32:
            raise ValueError(f"{variable}: version {version} has fewer than 32 bytes")
        if int(version) in secrets:
            raise ValueError(f"{variable}: version {version} stands there twice")
        secrets[int(version)] = value
    return secrets

"""What is wrong with the settings, in words of the environment and without the value, which may be a secret."""

from pydantic import ValidationError
from pydantic_settings import BaseSettings

import domain.settings

_PREFIX_BY_TITLE = {
    concern.__name__: str(concern.model_config.get("env_prefix", ""))
    for concern in vars(domain.settings).values()
    if isinstance(concern, type) and issubclass(concern, BaseSettings)
}


def setting_faults(error: ValueError) -> str:
    """`NAME: what it wants` for each fault of `load_settings`, joined by semicolons."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(_fault(error.title, fault["loc"], fault["msg"]) for fault in error.errors(include_url=False))


def _fault(title: str, where: tuple[int | str, ...], message: str) -> str:
    name = f"{_PREFIX_BY_TITLE.get(title, '')}{'_'.join(map(str, where))}".upper()
    text = message.removeprefix("Value error, ").removeprefix(f"{name}: ")
    return f"{name}: {text}"

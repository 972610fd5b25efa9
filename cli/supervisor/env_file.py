"""Files of `NAME=value` lines that hold secrets: mode 600, replaced whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path


def read_env_file(path: Path) -> dict[str, str]:
    """The pairs of a file that `write_env_file` wrote; empty if there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def write_env_file(path: Path, pairs: Mapping[str, str], comment: str) -> None:
    """Write the pairs after a comment line. Raises OSError, with the old file intact, if the disk is full."""
    text = f"# {comment}\n" + "".join(f"{name}={value}\n" for name, value in pairs.items())
    partial = path.with_name(f"{path.name}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise

"""docker-compose.yml and Dockerfile as the engine would read them, strictly: what is not known here is a mistake.

services = compose(VALUES)["services"]        # interpolated, merged, every key and form checked
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docker-compose.yml"

VALUES = {
    "POSTGRES_PASSWORD": "pg-secret",
    "VALKEY_PASSWORD": "vk-secret",
    "KEY_PEPPERS": "1:" + bytes(range(32)).hex(),
    "SECRET_KEYS": "1:" + bytes(range(32, 64)).hex(),
    "PORTAL_PUBLIC_URL": "https://app.example.com",
    "PORTAL_GATEWAY_URL": "https://api.example.com",
    "ADMIN_PUBLIC_URL": "https://admin.example.com",
    "MAIL_SMTP_URL": "smtps://user:pass@mail.example.com:465",
    "MAIL_SENDER": "Example <no-reply@example.com>",
}
"""What an operator has to set."""

_TOP = {"name", "services", "networks", "volumes"}
_SERVICE = {
    "build", "image", "restart", "environment", "read_only", "tmpfs", "cap_drop", "security_opt", "init", "depends_on",
    "command", "volumes", "shm_size", "stop_signal", "stop_grace_period", "healthcheck", "networks", "ports", "ulimits",
    "deploy", "env_file",
}  # fmt: skip
_ENV_FILE = {"path", "required"}
_HEALTH = {"test", "interval", "timeout", "retries", "start_period", "disable"}
_NETWORK = {"internal"}
_CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}
_DURATION = re.compile(r"(\d+)s")
_PORT = re.compile(r"(?:127\.0\.0\.1:)?\d{2,5}(?:-\d{2,5})?:\d{2,5}")
_VARIABLE = re.compile(r"\$(?:\$|\{([A-Z_]+)(?:(:[-?])([^}]*))?\}|(.))")


class Mistake(Exception):  # noqa: N818  it is the file's
    """The file is not what the engine takes."""


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    names = [key.value for key, _ in node.value if key.value != "<<"]
    if len(set(names)) != len(names):
        raise Mistake(f"a key stands twice in {sorted(names)}")
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value
    }


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


def strictly(text: str) -> list[Any]:
    """All documents of a YAML text, no key twice."""
    return list(yaml.load_all(text, _Strict))


def compose(values: Mapping[str, str], text: str | None = None) -> dict[str, Any]:
    """The file with `values` in the place of its variables. Raises Mistake."""
    (document,) = strictly(FILE.read_text() if text is None else text)
    document = interpolated({name: part for name, part in document.items() if not name.startswith("x-")}, values)
    _only(document, _TOP, "the file")
    for name, service in document["services"].items():
        _check(name, service, document)
    for kind, known in (("networks", _NETWORK), ("volumes", set())):
        for name, part in document[kind].items():
            _only(part or {}, known, f"{kind}: {name}")
    return document


def interpolated(part: Any, values: Mapping[str, str]) -> Any:
    """Variables replaced as the engine does. Raises Mistake for one that has to be set and is not."""
    if isinstance(part, dict):
        return {name: interpolated(value, values) for name, value in part.items()}
    if isinstance(part, list):
        return [interpolated(value, values) for value in part]
    return _VARIABLE.sub(lambda found: _value_of(found, values), part) if isinstance(part, str) else part


def seconds(duration: str) -> int:
    """Of `20s`."""
    found = _DURATION.fullmatch(duration)
    if not found:
        raise Mistake(f"{duration} is no duration in seconds")
    return int(found[1])


def image() -> dict[str, Any]:
    """Of the Dockerfile's last stage: entrypoint, environment and user of its processes, health check, all instructions."""
    text = re.sub(r"\\\n(?:\s*#.*\n)*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    last = max(at for at, (word, _) in enumerate(lines) if word == "FROM")
    stage: dict[str, list[str]] = {}
    for word, rest in lines[last:]:
        stage.setdefault(word, []).append(rest)
    pairs = [pair.partition("=") for line in stage["ENV"] for pair in shlex.split(line)]
    return {
        "entrypoint": yaml.safe_load(stage["ENTRYPOINT"][0]),
        "environment": {name: value for name, _, value in pairs},
        "stage": stage,
    }


def _value_of(found: re.Match[str], values: Mapping[str, str]) -> str:
    name, sign, rest, wrong = found.groups()
    if found[0] == "$$":
        return "$"
    if wrong or not name:
        raise Mistake(f"{found[0]} is no variable; a dollar sign is $$")
    if values.get(name):
        return values[name]
    if sign == ":-":
        return rest
    raise Mistake(rest if sign == ":?" else f"{name} has no default")


def _only(part: dict[str, Any], known: set[str], where: str) -> None:
    if strange := set(part) - known:
        raise Mistake(f"{where} has {sorted(strange)}")


def _check(name: str, service: dict[str, Any], document: dict[str, Any]) -> None:
    _only(service, _SERVICE, name)
    if "image" not in service:
        raise Mistake(f"{name} has no image")
    if not all(isinstance(value, str) for value in service.get("environment", {}).values()):
        raise Mistake(f"{name}: values of the environment are texts")
    if not all(isinstance(word, str) for word in service["command"]):
        raise Mistake(f"{name}: a command is a list of texts")
    for duration in (
        service.get("stop_grace_period"),
        *map(service.get("healthcheck", {}).get, ("interval", "timeout")),
    ):
        if duration is not None:
            seconds(duration)
    _only(service.get("healthcheck", {}), _HEALTH, f"{name}: healthcheck")
    for file in service.get("env_file", []):
        _only(file, _ENV_FILE, f"{name}: env_file")
    for port in service.get("ports", []):
        if not _PORT.fullmatch(port):
            raise Mistake(f"{name}: {port} is no port")
    for volume in service.get("volumes", []):
        if volume.split(":")[0] not in document["volumes"]:
            raise Mistake(f"{name}: {volume} is declared nowhere")
    for network in service["networks"]:
        if network not in document["networks"]:
            raise Mistake(f"{name}: {network} is declared nowhere")
    for other, wanted in service.get("depends_on", {}).items():
        _check_wait(name, other, wanted, document["services"])


def _check_wait(name: str, other: str, wanted: dict[str, str], services: dict[str, Any]) -> None:
    if other not in services or wanted["condition"] not in _CONDITIONS:
        raise Mistake(f"{name} waits for {other}: {wanted}")
    has_check = "test" in services[other].get("healthcheck", {})
    if wanted["condition"] == "service_healthy" and not has_check:
        raise Mistake(f"{name} waits for the health of {other}, which has no check")
    if wanted["condition"] == "service_completed_successfully" and services[other].get("restart") != "no":
        raise Mistake(f"{name} waits for the end of {other}, which is started again")

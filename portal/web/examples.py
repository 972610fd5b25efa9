"""Calls to paste: one operation as curl, Python and JavaScript, with a place for the key, or the key itself once."""

import json
import shlex
from dataclasses import dataclass

from domain.path_patterns import PARAMETER
from domain.service_catalog import CatalogOperation, CatalogService

PLACE_OF_KEY = "YOUR_API_KEY"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Example:
    """The same call three times."""

    curl: str
    python: str
    javascript: str


def example(gateway: str, service: CatalogService, operation: CatalogOperation, key: str = PLACE_OF_KEY) -> Example:
    """How an operation is called. `gateway` is the base URL."""
    method = "GET" if operation.method == "*" else operation.method
    url = gateway + service.route_prefix + example_path(operation.path_pattern)
    repeats = operation.replays and method in WITH_BODY
    return Example(_curl(method, url, key, repeats=repeats), _python(method, url, key), _javascript(method, url, key))


def polling_example(gateway: str, job: object = "JOB_ID", key: str = PLACE_OF_KEY) -> str:
    """How a job of an asynchronous operation is asked for."""
    return f"curl {shlex.quote(f'{gateway}/user/jobs/{job}')} \\\n  -H {shlex.quote(f'X-API-Key: {key}')}"


def example_path(pattern: str) -> str:
    """A path of the pattern: 1 for ids, the name of other parameters."""
    return "/".join(_value(segment) for segment in pattern.split("/"))


def first_call(gateway: str, services: tuple[CatalogService, ...], scopes: tuple[str, ...], key: str) -> str:
    """The curl of something that a key with these scopes may call: rather a GET without parameters."""
    open_ones = [
        (service, operation)
        for service in services
        for operation in service.operations
        if not operation.locked
        and (not scopes or service.slug in scopes or f"{service.slug}:{operation.name}" in scopes)
    ]
    if not open_ones:
        return f"curl -H {shlex.quote(f'X-API-Key: {key}')} {shlex.quote(f'{gateway}/user/usage')}"
    service, operation = min(
        open_ones, key=lambda each: (each[1].method not in {"GET", "*"}, len(each[1].parameters), each[1].path_pattern)
    )
    return example(gateway, service, operation, key).curl


def _value(segment: str) -> str:
    if segment == "*":
        return "path"
    if not PARAMETER.fullmatch(segment):
        return segment
    name = segment[1:-1]
    return "1" if name.lower().endswith("id") else name


def _curl(method: str, url: str, key: str, *, repeats: bool) -> str:
    parts = ["curl"]
    if method == "HEAD":
        parts.append("--head")
    elif method not in {"GET", "POST"}:
        parts.append(f"-X {shlex.quote(method)}")
    lines = [f"{' '.join(parts)} {shlex.quote(url)}", f"-H {shlex.quote(f'X-API-Key: {key}')}"]
    if repeats:
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if method in WITH_BODY:
        lines += ["-H 'Content-Type: application/json'", "-d '{}'"]
    return " \\\n  ".join(lines)


def _python(method: str, url: str, key: str) -> str:
    body = ", json={}" if method in WITH_BODY else ""
    headers = json.dumps({"X-API-Key": key})
    return (
        "import httpx\n\n"
        f"answer = httpx.request({json.dumps(method)}, {json.dumps(url)}, headers={headers}{body})\n"
        "print(answer.status_code, answer.text)"
    )


def _javascript(method: str, url: str, key: str) -> str:
    headers = {"X-API-Key": key}
    if method in WITH_BODY:
        headers["Content-Type"] = "application/json"
    options = [f"  method: {json.dumps(method)},", f"  headers: {json.dumps(headers)},"]
    if method in WITH_BODY:
        options.append("  body: JSON.stringify({}),")
    return (
        f"const answer = await fetch({json.dumps(url)}, {{\n" + "\n".join(options) + "\n});\n"
        "console.log(answer.status, await answer.text());"
    )

"""The cases of tests/cases, read and filled in as its README says."""

import base64
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "cases"
FILL = re.compile(rb"@FILL:(\d+)@")
LINES = re.compile(rb"@LINES:(\d+)@")


@dataclass(frozen=True)
class Placeholders:
    """What the placeholders of a run stand for."""

    key: str
    address: tuple[str, int]
    upstream_port: int

    @property
    def host(self) -> str:
        """The Host of the gateway."""
        return f"{self.address[0]}:{self.address[1]}"

    def text(self, text: str) -> str:
        """Fill in an expectation."""
        return self.fill(text.encode("latin-1")).decode("latin-1")

    def fill(self, raw: bytes) -> bytes:
        """Fill in bytes; the body's length comes last."""
        key = self.key.encode()
        raw = raw.replace(b"@KEY@", key).replace(b"@KEYSWAP@", key.swapcase())
        raw = raw.replace(b"@KEYB64@", base64.b64encode(key + b":"))
        raw = raw.replace(b"@HOST@", self.host.encode()).replace(b"@UPSTREAM_PORT@", str(self.upstream_port).encode())
        raw = FILL.sub(lambda found: b"a" * int(found[1]), raw)
        raw = LINES.sub(lambda found: b"\r\n".join(b"x-fill-%d: v" % i for i in range(int(found[1]))), raw)
        body = raw.partition(b"\r\n\r\n")[2]
        return raw.replace(b"@BODYLEN@", str(len(body)).encode())


@dataclass(frozen=True)
class Case:
    """One line of either file; the names are those of the README."""

    line: dict[str, Any]

    @property
    def id(self) -> str:
        """The case's name."""
        return str(self.line["id"])

    @property
    def expect(self) -> dict[str, Any]:
        """What may come of it."""
        return dict(self.line["expect"])

    def bytes_of(self, name: str) -> bytes:
        """A `..._b64` member, b'' without."""
        return base64.b64decode(self.line.get(name, ""))

    @cached_property
    def methods(self) -> list[str]:
        """Methods of the requests on the connection, as far as they decide whether an answer has a body."""
        if "methods" in self.line:
            return list(self.line["methods"])
        return ["HEAD" if self.bytes_of("raw_b64").startswith(b"HEAD ") else "GET"]

    @property
    def body_follows(self) -> bool:
        """Whether the follow-up is the rest of the first request."""
        return bool(self.line.get("followup_is_body"))

    @property
    def second_request(self) -> bytes:
        """The follow-up if it is a request of its own."""
        return b"" if self.body_follows else self.bytes_of("followup_b64")

    @cached_property
    def names_itself(self) -> bool:
        """Whether every request that may come of it carries the id in its target."""
        return self.id.encode() in self.bytes_of("raw_b64").partition(b"\n")[0].split(b" HTTP")[0]


def _read(name: str) -> list[Case]:
    with (FOLDER / name).open(encoding="utf-8") as lines:
        return [Case(json.loads(line)) for line in lines if line.strip()]


REQUESTS = _read("raw-requests.jsonl")
RESPONSES = _read("raw-responses.jsonl")
IDS = sorted((case.id for case in [*REQUESTS, *RESPONSES]), key=len, reverse=True)


def case_of(target: str) -> str:
    """The case that a target at the upstream belongs to: the longest id in it; '' if none."""
    return next((name for name in IDS if name in target), "")

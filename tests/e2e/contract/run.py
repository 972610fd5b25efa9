"""Schemathesis over the portal's API: every check it knows, with a personal access token, over a socket.

python -m tests.e2e.contract.run --examples 50
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.supervisor.services import EmbeddedServices
from domain.migrating import migrate
from domain.random_tokens import new_token
from portal.web.cookies import SESSION, cookie_name
from tests.e2e.looks.site import Site, served

LEFT_OUT = ("/api/dashboard/live", "/api/organization/close")
"""A stream that does not end, and the end of the organization that everything else happens in."""
OWN = "^/api/(account|settings|organizations|auth)"
"""What a token may not touch, as it is about the person: asked with a session."""
SECONDS = 1_500
ROOT = Path(__file__).resolve().parents[3]
FORMATS = "tests.e2e.contract.formats"
"""The module that tells schemathesis what strings of our own formats are."""


@dataclass(frozen=True)
class Verdict:
    """How the run ended, and what it printed."""

    status: int
    text: str

    @property
    def cases(self) -> str:
        """What it says of how many cases it generated."""
        found = re.search(r"(\d[\d,]*) generated[^\n]*", self.text)
        return found.group(0) if found else ""


async def token_for(site: Site) -> str:
    """A personal access token of the site's person that may change things."""
    token = new_token("pe_pat_")
    await site.portal.pool.execute(
        "insert into access_token (user_id, organization_id, name, token_digest, last4, read_only)"
        " values ($1, $2, 'contract', $3, $4, false)",
        site.person.user_id,
        site.person.organization.id,
        token.digest,
        token.text[-4:],
    )
    return token.text


async def caller(site: Site, *, session: bool) -> list[str]:
    """The options with which schemathesis is the site's person: by a token, or by a session, which may do more."""
    if not session:
        return ["--header", f"Authorization:Bearer {await token_for(site)}"]
    browser = site.person.browser
    cookie = browser.client.cookies.get(cookie_name(site.portal.settings.portal, SESSION))
    named = site.person.organization.slug
    fields = {"Cookie": f"pe_session={cookie}", "X-CSRF-Token": browser.csrf, "PE-Organization": named}
    return [part for name, value in fields.items() for part in ("--header", f"{name}:{value}")]


async def contract(
    site: Site, *, examples: int, seed: int | None = None, session: bool = False, more: tuple[str, ...] = ()
) -> Verdict:
    """Run it against a served portal; by a session only over what is a person's own."""
    only = ("--include-path-regex", OWN) if session else ()
    arguments = [
        "run", f"{site.url}/api/openapi.json", "--checks", "all", "--max-examples", str(examples),
        *await caller(site, session=session), "--continue-on-failure", "--suppress-health-check", "all",
        "--request-timeout", "20", "--workers", "1", "--no-color", *only,
        *[part for path in LEFT_OUT for part in ("--exclude-path", path)],
        *(("--seed", str(seed)) if seed is not None else ()), *more,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "160", "SCHEMATHESIS_HOOKS": FORMATS, "PYTHONPATH": str(ROOT)},
        cwd=tempfile.mkdtemp(prefix="contract-"),
    )
    output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    return Verdict(process.returncode or 0, output.decode())


async def main() -> int:
    """The long form, on databases of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--session", action="store_true", help="by a session, over what a token may not touch")
    parser.add_argument("more", nargs="*", help="more options of schemathesis, after --")
    given: Any = parser.parse_args()
    with EmbeddedServices(Path(tempfile.mkdtemp()) / "data") as services:
        await migrate(services.database_url)
        async with served(services.database_url, services.redis_url, Path(tempfile.mkdtemp())) as site:
            verdict = await contract(
                site, examples=given.examples, seed=given.seed, session=given.session, more=tuple(given.more)
            )
    print(verdict.text)
    return verdict.status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

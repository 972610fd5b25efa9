"""Take a picture of every page of the back office: python -m tests.e2e.looks.office_pictures [--only audit] [--into FOLDER]

As those of the portal; of actions a few forms, a preview and an outcome.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pyotp
from playwright.async_api import Browser, Page

from cli.supervisor.services import EmbeddedServices
from domain.migrating import migrate
from tests.e2e.looks.office import Address, OfficeSite, addresses, served_office
from tests.e2e.looks.office_sample import work, write_neighbours
from tests.e2e.looks.pictures import SCHEMES, small
from tests.e2e.looks.sample import write_sample
from tests.e2e.looks.site import PARAMETER, chromium
from tests.portals import PASSWORD, portal_settings

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "screenshots" / "admin"
HIGHEST = {1280: 940, 390: 1_300}
"""Of each width: what is below is cut off."""
FORMS = {"grant-credits", "override-limit", "revoke-leaked-keys", "undo-plan-edit", "act-as-customer", "run-job"}
"""Actions whose form has a picture; all are made by one template."""
WHAT_IF = "/what-if?plan=pro&limits=600%2Fminute%0A20%2Fhour&month=59&days=3&who=everybody"
QUERIES = {
    "/find": ("/find?q=ac&list=1", "find"),
    "/what-if": (WHAT_IF, "what-if"),
    "/requests": ("/requests?organization=acme-weather", "requests"),
}
"""Pages that are empty without a question."""


def picture_of(address: Address, objects: dict[str, Any]) -> tuple[str, str] | None:
    """Path and file name; None for what has no picture."""
    if address.pattern == "/actions/{slug}" and address.fixed not in FORMS:
        return None
    path = address.path(objects)
    if path is None:
        return None
    if address.pattern in QUERIES:
        return QUERIES[address.pattern]
    words = PARAMETER.sub(address.fixed or "one", address.pattern).strip("/") or "overview"
    query = "?organization=acme-weather&limit=hour" if address.fixed in ("grant-credits", "override-limit") else ""
    return path + query, re.sub(r"[^a-z0-9]+", "-", words)


@asynccontextmanager
async def office() -> AsyncIterator[OfficeSite]:
    """A back office of its own, after a day's work."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServices(Path(folder) / "data") as services:
        await migrate(services.database_url)
        settings = portal_settings(services.database_url, services.redis_url, Path(folder) / "mail")
        connection: Any = await asyncpg.connect(services.database_url)
        now = datetime.now(UTC).replace(microsecond=0)
        sample = await write_sample(connection, settings, now)
        await write_neighbours(connection, settings, now)
        async with served_office(settings) as site:
            await connection.execute(
                "update users set email = 'olga@example.com', username = 'olga@example.com', first_name = 'Olga',"
                " last_name = 'Marsh' where id = $1",
                site.operator.user_id,
            )
            await _set_up_factor(site)
            yield replace(site, objects=await work(site, sample))
        await connection.close()


async def _set_up_factor(site: OfficeSite) -> None:
    browser = site.operator.browser
    await browser.post("/account/factor", {"password": PASSWORD})
    secret = re.search(r"<code[^>]*>([A-Z2-7 ]{16,})</code>", (await browser.get("/account")).text)
    assert secret
    await browser.post("/account/factor/confirm", {"code": pyotp.TOTP(secret[1].replace(" ", "")).now()})


async def photograph(site: OfficeSite, browser: Browser, folder: Path, *, only: str) -> list[tuple[str, int]]:
    """Write the pictures; name and size of each."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    for width, highest in HIGHEST.items():
        for scheme in SCHEMES:
            for signed_in in (False, True):
                context = await site.context(browser, signed_in=signed_in, width=width, scheme=scheme)
                page = await context.new_page()
                for address in addresses():
                    wanted = picture_of(address, site.objects)
                    if wanted is None or address.signed_in is not signed_in or only not in wanted[1]:
                        continue
                    await page.goto(site.url + wanted[0])
                    taken.append(await _shoot(page, folder / f"{wanted[1]}-{width}-{scheme}.png", width, highest))
                if signed_in and only in "action-preview action-outcome":
                    taken += await _act(page, site, folder, width, highest, scheme)
                await context.close()
    return taken


async def _act(
    page: Page, site: OfficeSite, folder: Path, width: int, highest: int, scheme: str
) -> list[tuple[str, int]]:
    await page.goto(f"{site.url}/actions/mint-key?organization=cedar-health&name=Partner+of+{scheme}+{width}")
    await page.click("#form button[type=submit]")
    preview = await _shoot(page, folder / f"action-preview-{width}-{scheme}.png", width, highest)
    await page.fill("[name=reason]", "Asked for by their support, ticket 4712")
    await page.click(".preview form button[type=submit]")
    return [preview, await _shoot(page, folder / f"action-outcome-{width}-{scheme}.png", width, highest)]


async def _shoot(page: Page, target: Path, width: int, highest: int) -> tuple[str, int]:
    height = min(await page.evaluate("document.documentElement.scrollHeight"), highest)
    clip: Any = {"x": 0, "y": 0, "width": width, "height": height}
    picture = small(await page.screenshot(full_page=True, clip=clip, animations="disabled"))
    target.write_bytes(picture)
    return target.name, len(picture)


async def main() -> int:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names to take")
    parser.add_argument("--into", type=Path, default=FOLDER)
    given: Any = parser.parse_args()
    async with office() as site, chromium() as browser:
        taken = await photograph(site, browser, given.into, only=given.only)
    largest = max(taken, key=lambda each: each[1], default=("none", 0))
    total = sum(size for _, size in taken)
    print(f"{len(taken)} pictures, {total // 1024} KiB, the largest {largest[0]} with {largest[1] // 1024} KiB")
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

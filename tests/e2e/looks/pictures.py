"""Take a picture of every page of the portal: python -m tests.e2e.looks.pictures [--only dashboard] [--into FOLDER]

Light and dark, 1280 and 390 wide, of a limited height, in a palette, so that each is some tens of kilobytes.
"""

import argparse
import asyncio
import io
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
from PIL import Image
from playwright.async_api import Browser

from cli.supervisor.services import EmbeddedServices
from domain.access import Access
from domain.migrating import migrate
from domain.organizations import fetch_organization
from tests.e2e.looks.sample import OWNER, Sample, write_sample
from tests.e2e.looks.site import PARAMETER, Site, chromium, filled, page_paths, served
from tests.portals import Person, portal_settings

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "screenshots" / "portal"
SCHEMES, COLOURS = ("light", "dark"), 64
HIGHEST = {1280: 1_000, 390: 1_600}
"""Of each width: what is below is cut off."""
NAMES = {"/": "landing", "/o/{organization}": "dashboard"}
"""Pages that their path names badly."""


def name_of(path: str) -> str:
    """The file name of a page: its path's words."""
    if path in NAMES:
        return NAMES[path]
    words = PARAMETER.sub("one", path.removeprefix("/o/{organization}").strip("/"))
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


@asynccontextmanager
async def acme() -> AsyncIterator[Site]:
    """A portal of its own, with Acme Weather's owner signed in."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServices(Path(folder) / "data") as services:
        await migrate(services.database_url)
        settings = portal_settings(services.database_url, services.redis_url, Path(folder) / "mail")
        connection: Any = await asyncpg.connect(services.database_url)
        sample = await write_sample(connection, settings, datetime.now(UTC).replace(microsecond=0))
        async with served(services.database_url, services.redis_url, Path(folder) / "mail") as site:
            person = await _owner(site, connection, sample)
            await connection.close()
            yield replace(site, person=person, objects=sample.objects)


async def _owner(site: Site, connection: Any, sample: Sample) -> Person:
    # What the served portal made for its own first person is not to be seen.
    await connection.execute(
        "delete from operation where service_id in (select id from service where slug like 'common-%')"
    )
    await connection.execute("delete from service where slug like 'common-%'")
    await connection.execute("update plan set public = false where slug = 'portal-plan'")
    organization = await fetch_organization(connection, sample.slug)
    access = Access(sample.organization_id, sample.slug, organization.name, "active", sample.owner_id, "owner")
    return Person(sample.owner_id, OWNER, organization, access, await site.portal.sign_in(sample.owner_id))


async def photograph(site: Site, browser: Browser, folder: Path, *, only: str) -> list[tuple[str, int]]:
    """Write the pictures; name and size of each."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    for width, highest in HIGHEST.items():
        for scheme in SCHEMES:
            for signed_in in (False, True):
                context = await site.context(browser, signed_in=signed_in, width=width, scheme=scheme)
                page = await context.new_page()
                for path, needs_session in page_paths():
                    name, url = name_of(path), filled(path, site)
                    if url is None or needs_session is not signed_in or only not in name:
                        continue
                    await page.goto(site.url + url)
                    if page.url != site.url + url:
                        continue  # it led on to another page, which has its own picture
                    height = min(await page.evaluate("document.documentElement.scrollHeight"), highest)
                    clip = {"x": 0, "y": 0, "width": width, "height": height}
                    picture = small(await page.screenshot(full_page=True, clip=clip, animations="disabled"))
                    target = folder / f"{name}-{width}-{scheme}.png"
                    target.write_bytes(picture)
                    taken.append((target.name, len(picture)))
                await context.close()
    return taken


def small(picture: bytes) -> bytes:
    """The same picture in a palette."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    reduced, kept = image.quantize(COLOURS, dither=Image.Dither.NONE), io.BytesIO()
    reduced.save(kept, "PNG", optimize=True)
    return kept.getvalue()


async def main() -> int:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names to take")
    parser.add_argument("--into", type=Path, default=FOLDER)
    given: Any = parser.parse_args()
    async with acme() as site, chromium() as browser:
        taken = await photograph(site, browser, given.into, only=given.only)
    largest = max(taken, key=lambda each: each[1], default=("none", 0))
    total = sum(size for _, size in taken)
    print(f"{len(taken)} pictures, {total // 1024} KiB, the largest {largest[0]} with {largest[1] // 1024} KiB")
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

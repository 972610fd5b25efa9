"""What the documentation links to exists, and its pictures fetch nothing and show no key."""

import re
from pathlib import Path

import pytest

from domain.key_format import crc_ok

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PICTURES = list((ROOT / "docs").rglob("*.svg"))
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FETCHED = re.compile(r"@import|@font-face|url\((?!#)|(?:href|src)\s*=\s*[\"'](?!#)", re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [to for to in targets if "://" not in to and not (page.parent / to).exists()] == []


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_fetch_nothing_and_show_no_key(picture):
    text = COMMENT.sub("", picture.read_text())
    assert FETCHED.findall(text) == []
    keys = re.findall(r"pe_(?:live|test)_\w+", text)
    assert keys
    assert not any(crc_ok(key.encode()) for key in keys)

"""Every refusal has a page, every page a refusal."""

from pathlib import Path

import pytest

from domain.refusals import ALL

PAGES = Path(__file__).resolve().parents[2] / "docs" / "errors"


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.code)
def test_every_refusal_has_a_page_that_says_what_to_do(refusal):
    page = (PAGES / f"{refusal.code}.md").read_text()
    assert page.startswith(f"# {refusal.status} {refusal.title}\n")
    assert "## What to do" in page
    assert refusal.default_detail.endswith(".")


def test_no_page_without_a_refusal_and_no_code_twice():
    codes = [refusal.code for refusal in ALL]
    assert len(codes) == len(set(codes))
    assert {page.stem for page in PAGES.glob("*.md")} == set(codes)

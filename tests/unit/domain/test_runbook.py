"""Every kind of alert leads to a section of the runbook that is about it."""

import re

import pytest

from domain.alerts.measures import CUSTOMERS, OPERATORS
from domain.runbook import ALERTS, Section, anchor_of, sections
from schema.messages import AlertKind

BY_ANCHOR = {section.anchor: section for section in sections()}


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_has_a_section_that_names_it_and_whom_it_is_told(kind):
    section = BY_ANCHOR[ALERTS[kind]]
    assert section.text.startswith(f"`{kind.value}`, to ")
    assert ("to operators" if kind in OPERATORS else "to the customer") in section.text.splitlines()[0]


def test_no_section_of_alerts_is_without_a_kind_and_no_two_kinds_share_one():
    part = [section.anchor for section in sections() if re.match("`[a-z_]+`, to ", section.text)]
    assert sorted(part) == sorted(ALERTS.values())
    assert set(CUSTOMERS) | set(OPERATORS) == set(AlertKind)


def test_anchors_are_unique_and_made_as_pages_make_them():
    assert len(BY_ANCHOR) == len(sections()) > 20
    assert anchor_of("Requests are refused with 503") == "requests-are-refused-with-503"
    assert anchor_of("F1, or not?") == "f1-or-not"


def test_paragraphs_are_parted_into_words_code_and_links_and_lists_keep_their_lines():
    section = Section("A", "a", 3, "Do `this now`\nas under [b](#b), see [page](x.md).\n\n- one\n- two\n\n```\nls\n```")
    prose, bullets, commands = section.blocks
    assert [(piece.text, piece.code, piece.anchor) for piece in prose.pieces] == [
        ("Do ", False, ""), ("this now", True, ""), (" as under ", False, ""), ("b", False, "b"), (", see ", False, ""),
        ("page", False, ""), (".", False, ""),
    ]  # fmt: skip
    assert (bullets.prose, bullets.text, commands.prose) == (False, "- one\n- two", False)


def test_links_within_the_page_lead_to_sections():
    anchors = {piece.anchor for section in sections() for block in section.blocks for piece in block.pieces}
    assert anchors - {""} <= set(BY_ANCHOR)
    assert len(anchors) > 3

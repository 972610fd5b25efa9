"""Each verb of the audit says something in words, and no cell of an export is a formula."""

import pytest

from domain.audit import Verb
from domain.audit_sentences import GROUPS, SENTENCES, phrase_of
from domain.csv_texts import safe_cell


@pytest.mark.parametrize("verb", Verb)
def test_every_verb_has_a_sentence_and_a_group(verb):
    assert verb.partition(".")[0] in GROUPS
    sentence = SENTENCES[verb]
    assert sentence.count("{") == sentence.endswith("{object}")


def test_an_unknown_verb_stands_for_itself():
    assert phrase_of("moon.land") == ("moon.land", True)
    assert phrase_of("key.revoke") == ("revoked the API key", True)
    assert phrase_of("account.sign_in") == ("signed in", False)


@pytest.mark.parametrize("cell", ["=cmd()", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "  =1", "\uff1dcmd()"])
def test_a7_a_cell_that_a_spreadsheet_would_calculate_is_a_text(cell):
    assert safe_cell(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "a=b", "2026-11-26", "x@example.com", '{"a": 1}'])
def test_other_cells_stay(cell):
    assert safe_cell(cell) == cell

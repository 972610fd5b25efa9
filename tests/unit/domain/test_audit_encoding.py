"""What the audit's hashes are made of stays what docs/audit.md says: an older chain must verify for ever."""

from hashlib import sha256

import hypothesis
from hypothesis import strategies as st

from domain.audit_chain.encoding import COLUMNS, GENESIS, content_of, link_hash
from schema.audit import AuditEntry

ENTRY = {
    "id": "0199d3a0-7c1e-4b3a-8f64-0e2b1c9d4a55",
    "created_at": "1795742531.250000",
    "actor_kind": "user",
    "actor_name": "zoë@example.com",
    "verb": "key.create",
    "after": '{"name": "CI"}',
    "reason": "",
}
TEXTS = st.lists(st.none() | st.text(max_size=8), min_size=len(COLUMNS), max_size=len(COLUMNS))


def texts_of(entry):
    return [entry.get(name) for name in COLUMNS]


def test_every_column_of_an_entry_is_hashed():
    assert set(COLUMNS) == {column._meta.name for column in AuditEntry._meta.columns}


def test_an_entry_is_hashed_as_it_is_described():
    told = b"".join(b"%b %d\n%b\n" % (name.encode(), len(text.encode()), text.encode()) for name, text in ENTRY.items())
    assert content_of(texts_of(ENTRY)) == sha256(told).digest()
    assert content_of(texts_of(ENTRY)).hex() == "6c5e52ae90ff3887c928c4e843273d4fbd86f562126925ecd076116af30f57e2"


def test_a_link_is_hashed_as_it_is_described():
    content = content_of(texts_of(ENTRY))
    told = b"paid-endpoint audit 1\n" + bytes(32) + b"1 2026-11-27 1795742531.250000\n" + content
    made = link_hash(GENESIS, 1, "2026-11-27", "1795742531.250000", content)
    assert made == sha256(told).digest()
    assert made.hex() == "137b852b67bea9947b4803fcd191ad4f54d78f986d02a1e63115391a6c325f3b"


@hypothesis.given(TEXTS, TEXTS)
def test_different_entries_have_different_hashes(one, other):
    assert (content_of(one) == content_of(other)) == (one == other)


@hypothesis.given(TEXTS, st.integers(0, len(COLUMNS) - 2))
def test_a_text_that_moves_to_the_next_column_is_another_entry(texts, place):
    moved = [*texts]
    moved[place], moved[place + 1] = None, (texts[place] or "") + (texts[place + 1] or "")
    assert (content_of(moved) == content_of(texts)) == (moved == texts)

"""A row recognises its own key and no other, under the pepper that it was made with."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from domain.key_digest import digest, sha256_digest, verify_row

peppers = st.dictionaries(st.integers(1, 32_767), st.binary(min_size=32, max_size=64), min_size=1, max_size=4)


@given(st.binary(max_size=200), st.binary(max_size=200), peppers)
def test_an_hmac_row_matches_exactly_its_key_whatever_newer_peppers_there_are(key, other, known):
    for version, pepper in known.items():
        stored = digest(key, pepper)
        assert len(stored) == 32
        assert verify_row(key, "hmac", stored, version, known)
        assert verify_row(other, "hmac", stored, version, known) == (other == key)


@given(st.binary(max_size=200), peppers)
def test_without_its_pepper_a_row_matches_nothing(key, known):
    version, pepper = next(iter(known.items()))
    stored = digest(key, pepper)
    others = {number: value for number, value in known.items() if number != version}
    assert not verify_row(key, "hmac", stored, version, others)
    assert not verify_row(key, "hmac", stored, None, known)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_an_imported_row_matches_its_plain_sha256(key, other):
    stored = sha256_digest(key)
    assert verify_row(key, "sha256", stored, None, {})
    assert verify_row(other, "sha256", stored, None, {}) == (other == key)


def test_the_digest_is_the_standard_one():
    assert digest(b"key", b"p" * 32) == hmac.new(b"p" * 32, b"key", hashlib.sha256).digest()
    assert not verify_row(b"key", "md5", hashlib.sha256(b"key").digest(), None, {})

"""Keys of ours have one form, and a checksum that finds every small mistake."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.key_format import (
    ALPHABET,
    KEY_LENGTH,
    KEY_PATTERN,
    ParsedKey,
    checksum,
    crc_ok,
    holds_key,
    mint,
    parse,
    random_text,
)

environments = st.sampled_from(["live", "test"])


@given(environments)
def test_a_minted_key_parses_and_its_checksum_holds(environment):
    minted = mint(environment)
    presented = minted.plaintext.encode()
    assert re.fullmatch(r"pe_(live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}", minted.plaintext)
    assert len(presented) == KEY_LENGTH
    assert crc_ok(presented)
    assert parse(presented) == ParsedKey(environment, minted.public_id)
    assert minted.plaintext.startswith(minted.prefix + "_")
    assert minted.plaintext.endswith(minted.last4)


def test_a_known_key_stays_the_same_for_ever():
    body = b"pe_live_0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
    assert crc_ok(body + checksum(body).encode())
    assert checksum(body) == "18k5iv"


@given(environments, st.integers(0, KEY_LENGTH - 1), st.sampled_from(ALPHABET + "_-. "))
def test_one_changed_character_is_always_found(environment, place, character):
    presented = mint(environment).plaintext.encode()
    changed = presented[:place] + character.encode() + presented[place + 1 :]
    assert crc_ok(changed) == (changed == presented)


@given(st.binary(max_size=80))
def test_other_bytes_are_no_key(presented):
    assert not crc_ok(presented)
    assert parse(presented) is None


@given(environments, st.binary(min_size=1, max_size=3))
def test_nothing_may_stand_around_a_key(environment, more):
    presented = mint(environment).plaintext.encode()
    assert parse(presented + more) is None
    assert parse(more + presented) is None


def test_a_key_never_shows_itself_by_accident():
    minted = mint("live")
    assert minted.plaintext not in repr(minted)
    assert minted.last4 in minted.plaintext


def test_only_live_and_test_are_environments():
    with pytest.raises(ValueError, match="live or test"):
        mint("adm")


def test_every_base62_digit_is_as_likely_as_another():
    counts = Counter(random_text(62_000))
    assert set(counts) == set(string.digits + string.ascii_letters) == set(ALPHABET)
    # 1000 expected each, standard deviation 31: eight deviations do not happen.
    assert all(750 < count < 1250 for count in counts.values())


def test_the_published_pattern_is_the_form():
    assert KEY_PATTERN.pattern == rb"pe_(live|test)_([0-9A-Za-z]{10})_[0-9A-Za-z]{38}"


@pytest.mark.parametrize("around", ["{}", "X-API-Key: {}", "https://x/?k={}&y=1", "{}{}", "a{}b"])
def test_a_key_is_seen_in_any_text(around):
    assert holds_key(around.replace("{}", mint("live").plaintext))


@pytest.mark.parametrize("text", ["", "pe_live_4fQ9", "pe_live_4fQ9abcdef", "pe_prod_" + "a" * 60, "\ud800 pe_live_"])
def test_the_beginning_of_a_key_is_none(text):
    assert not holds_key(text)

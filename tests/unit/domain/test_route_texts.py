"""Prefixes and path patterns: what an operator may write is what a canonical path can match."""

import pytest

from domain.faults import InvalidValue
from domain.path_patterns import pattern_shape, valid_pattern
from domain.route_prefixes import RESERVED, valid_prefix


@pytest.mark.parametrize(
    ("given", "stored"), [("/x", "/x"), ("/x/", "/x"), ("/a/v1.0", "/a/v1.0"), ("/users", "/users")]
)
def test_good_prefixes(given, stored):
    assert valid_prefix(given) == stored


@pytest.mark.parametrize(
    "text", ["", "/", "x", "//x", "/a//b", "/a b", "/a/../b", "/.", "/ä", "/%41", "/a?b", "/" + "a" * 300]
)
def test_bad_prefixes(text):
    with pytest.raises(InvalidValue):
        valid_prefix(text)


@pytest.mark.parametrize("reserved", RESERVED)
def test_our_own_paths_are_reserved_and_all_below_them(reserved):
    for prefix in (reserved, f"{reserved}/more", f"{reserved}/"):
        with pytest.raises(InvalidValue, match="keeps"):
            valid_prefix(prefix)


@pytest.mark.parametrize(
    "text", ["/", "/hello", "/items/{id}", "/a/{b}/c/{d}", "/files/*", "/*", "/a/", "/caf%C3%A9", "/a;v=1"]
)
def test_good_patterns(text):
    assert valid_pattern(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "//",
        "/a//b",
        "/*/a",
        "/a*",
        "/{}",
        "/{a}{b}",
        "/x{a}",
        "/{a}/{a}",
        "/{a",
        "/../b",
        "/a/.",
        "/a?b",
        "/a b",
        "/%2F",
        "/%2f",
        "/%41",
        "/%00",
        "/%5C",
        "/ä",
        "/" + "a" * 1100,
    ],
)
def test_bad_patterns(text):
    with pytest.raises(InvalidValue):
        valid_pattern(text)


def test_two_patterns_of_one_shape_match_the_same():
    assert pattern_shape("/a/{b}/c") == pattern_shape("/a/{x}/c") == "/a/{}/c"

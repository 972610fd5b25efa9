"""The crowd's keys are ours, its patterns are patterns, and both kinds of callers are spread as they say."""

from domain.key_format import KEY_LENGTH, crc_ok
from domain.path_patterns import valid_pattern
from loadtests.crowd import Crowd, lines

BIG = Crowd(1_000_000, 10_000, 1_000, "s" * 26)


def test_keys_have_the_form_that_the_gateway_checks_offline():
    for number in (0, 1, 999_999):
        key = BIG.plaintext(number)
        assert len(key) == KEY_LENGTH
        assert crc_ok(key.encode())


def test_few_keys_of_many_belong_to_as_many_organizations():
    for count in (10, 1_000):
        numbers = BIG.spread(count)
        assert len(set(numbers)) == len({number % BIG.organizations for number in numbers}) == count
        assert max(numbers) < BIG.keys


def test_operations_are_literal_and_with_parameters_and_all_different():
    patterns = [valid_pattern(BIG.pattern(number)) for number in range(BIG.operations)]
    assert len({(number % BIG.services, pattern) for number, pattern in enumerate(patterns)}) == BIG.operations
    assert {"{" in pattern for pattern in patterns} == {True, False}


def test_a_line_is_a_path_and_a_key():
    first, second = lines(BIG, [3, 4], [0, 1]).splitlines()
    assert first == f"/crowd0/group0/things0 {BIG.plaintext(3)}"
    assert second.startswith("/crowd1/group1/things1/4 pe_live_")

import pytest

from domain.refusals import InvalidIdempotencyKey
from gateway.idempotency_keys import idempotency_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (b'"8e03978e"', "8e03978e"),
        (b' "a" ', "a"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b'"a,b"', "a,b"),
        (b"a:b/c=d~!", "a:b/c=d~!"),
        (b"k" * 255, "k" * 255),
        (b'"' + b"k" * 255 + b'"', "k" * 255),
    ],
)
def test_keys_are_bare_or_structured_field_strings(text, key):
    assert idempotency_key([(b"host", b"x"), (b"idempotency-key", text)]) == key


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'""',
        b'"',
        b'"a',
        b'a"',
        b'"a"b',
        b'"a";b=1',
        rb'"a\n"',
        b'"a\\',
        b"a b",
        b'"a b"',
        b"a,b",
        b"a\tb",
        b"\xe9",
    ],
)
def test_what_is_none_is_refused(text):
    with pytest.raises(InvalidIdempotencyKey):
        idempotency_key([(b"idempotency-key", text)])


def test_too_long_too_many_and_none():
    with pytest.raises(InvalidIdempotencyKey):
        idempotency_key([(b"idempotency-key", b"k" * 256)])
    with pytest.raises(InvalidIdempotencyKey):
        idempotency_key([(b"idempotency-key", b"a"), (b"idempotency-key", b"a")])
    assert idempotency_key([(b"host", b"x")]) is None

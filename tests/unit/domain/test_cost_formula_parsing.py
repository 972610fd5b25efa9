"""What may be written as a cost formula, and what operators are told of the rest."""

import pytest

from domain.cost_formula_parsing import (
    DEEPEST,
    LONGEST,
    MOST_NODES,
    Amount,
    Ceil,
    Extreme,
    Field,
    Product,
    Sum,
    parse,
)
from domain.faults import InvalidValue

ONE = Amount(1_000_000)
PAGES = Field("query", "pages")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1", ONE),
        ("0.000001", Amount(1)),
        ("1000000000", Amount(10**15)),
        ("bytes", Field("bytes")),
        (" query.pages\t", PAGES),
        ("query.pages?1", Field("query", "pages", 1)),
        ("query.page-size ? 0", Field("query", "page-size", 0)),
        ("header.X-Size", Field("header", "x-size")),
        ("path.day", Field("path", "day")),
        ("answer.bytes", Field("answer", "bytes")),
        ("answer.events ? 3", Field("answer", "events", 3)),
        ("answer.events-1", Sum(Field("answer", "events"), ((True, ONE),))),
        ("path.day-1", Sum(Field("path", "day"), ((True, ONE),))),
        ("query.pages - 1", Sum(PAGES, ((True, ONE),))),
        ("query.pages -1 + bytes", Sum(PAGES, ((True, ONE), (False, Field("bytes"))))),
        ("1 + 1 * 0.5", Sum(ONE, ((False, Product((ONE, Amount(500_000)))),))),
        ("(1 + 1) * 0.5", Product((Sum(ONE, ((False, ONE),)), Amount(500_000)))),
        ("1 - (1 - 1)", Sum(ONE, ((True, Sum(ONE, ((True, ONE),))),))),
        ("min(1, max(bytes, 1), 0.5)", Extreme("min", (ONE, Extreme("max", (Field("bytes"), ONE)), Amount(500_000)))),
        ("ceil(bytes / 1000) * 0.1", Product((Ceil(Field("bytes"), 10**9), Amount(100_000)))),
        ("ceil(0.5 * bytes / 0.25)", Ceil(Product((Amount(500_000), Field("bytes"))), 250_000)),
        ("query.width * query.height", Product((Field("query", "width"), Field("query", "height")))),
        ("query.min", Field("query", "min")),
        ("0.5 * ceil(0.3 / 0.2) * 2.0", Product((Amount(500_000), Ceil(Amount(300_000), 200_000), Amount(2_000_000)))),
    ],
)
def test_a_formula_is_read(text: str, tree: object) -> None:
    assert parse(text, ["day"]) == tree


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a number, a field"),
        ("0.01 +", 7, "a number, a field"),
        ("0.01 + * 2", 8, "a number, a field"),
        ("-1", 1, "a number, a field"),
        (".5", 1, "a number, a field"),
        ("pages", 1, "a number, a field"),
        ("query", 6, "'.' and a name behind query"),
        ("query.", 7, "a name"),
        ("query.1st", 7, "a name"),
        ("query." + "n" * 65, 7, "a name"),
        ("query.pages-1", 12, "a blank before '-'"),
        ("query.pages - query.", 21, "a name"),
        ("query.a ? -1", 11, "a whole number from 0 to 1000000000"),
        ("query.a ? 1.5", 11, "a whole number from 0 to 1000000000"),
        ("query.a ? 1000000001", 11, "a number of at most 1000000000"),
        ("query.a ? query.b", 11, "a whole number from 0 to 1000000000"),
        ("bytes ? 1", 7, "no default for bytes"),
        ("answer.bytes ? 1", 14, "no default for answer.bytes"),
        ("answer.size", 8, "bytes or events"),
        ("answer", 7, "'.' and a name behind answer"),
        ("path.month", 6, "day, hour, found 'm'"),
        ("path.page-size", 6, "day, hour, found 'p'"),
        ("header.Authorization", 8, "as the caller sent it"),
        ("header.X_Forwarded_For", 8, "as the caller sent it"),
        ("header.content-length", 8, "as the caller sent it"),
        ("1 / 2", 3, "division is written ceil(a / 1000)"),
        ("1 2", 3, "'+', '-', '*' or the end"),
        ("1)", 2, "'+', '-', '*' or the end"),
        ("(1", 3, "'+', '-', '*' or ')'"),
        ("()", 2, "a number, a field"),
        ("min(1)", 6, "','"),
        ("min 1", 5, "'('"),
        ("ceil(1)", 7, "'/'"),
        ("ceil(1 / 0)", 10, "a number above zero"),
        ("ceil(1 / bytes)", 10, "a number above zero"),
        ("ceil(1 / -5)", 10, "a number above zero"),
        ("ceil(1 / 2 * 3)", 12, "')'"),
        ("1.", 1, "one to six decimals"),
        ("2 + 0.0000001", 5, "one to six decimals"),
        ("1000000001", 1, "at most 1000000000"),
        ("9" * 500, 1, "at most 1000000000"),
        ("0.1 * 0.1", 7, "a whole number, because another factor has decimals"),
        ("0.1 * query.a * (bytes - 0.5)", 17, "a whole number, because another factor has decimals"),
        ("1 ** 2", 4, "a number, a field"),
        ("1 + \u0661", 5, r"found '\u0661'"),
        ("1\u00a0+ 1", 2, r"found '\xa0'"),
        ("1\x00", 2, r"found '\x00'"),
        ("__import__('os')", 1, "a number, a field"),
    ],
)
def test_what_is_none_is_named_with_its_place(text: str, column: int, expected: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(text, ["day", "hour"])
    assert str(caught.value).startswith(f"cost_formula, column {column}: expected ")
    assert expected in str(caught.value)


def test_a_path_without_parameters_is_asked_for_none() -> None:
    with pytest.raises(InvalidValue, match="column 6: expected another field, because the path has no parameters"):
        parse("path.day")


def test_its_length_is_bounded() -> None:
    assert parse("1".ljust(LONGEST)) == ONE
    with pytest.raises(InvalidValue, match=f"at most {LONGEST} characters, found {LONGEST + 1}"):
        parse("1".ljust(LONGEST + 1))


def test_its_depth_is_bounded() -> None:
    assert parse("(" * DEEPEST + "1" + ")" * DEEPEST) == ONE
    with pytest.raises(InvalidValue, match=f"column {DEEPEST + 2}: expected at most {DEEPEST} parentheses"):
        parse("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1))
    assert isinstance(parse("*".join(["(1)"] * (DEEPEST + 1))), Product)


def test_its_size_is_bounded() -> None:
    assert len(parse("+".join("1" * MOST_NODES)).rest) == MOST_NODES - 1  # type: ignore[union-attr]
    with pytest.raises(InvalidValue, match=f"expected the end: at most {MOST_NODES} numbers"):
        parse("+".join("1" * (MOST_NODES + 1)))

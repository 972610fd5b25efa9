"""What requests cost by a formula: at most the price, exactly to the micro-credit, and the price where in doubt."""

import logging
from uuid import uuid4

import pytest

from domain.cost_fields import Asked
from domain.cost_formulas import CostFormula, formula_of, requested_price, valid_formula
from domain.faults import InvalidValue
from domain.snapshots import OperationSnapshot

CAP = 5_000_000
PATTERN = "/days/{day}/{hour}"


def asked(
    query: bytes = b"", *headers: tuple[bytes, bytes], path: bytes = b"/days/7/12", body: int | None = 0
) -> Asked:
    return query, headers, path, body


@pytest.mark.parametrize(
    ("text", "request_", "micro"),
    [
        ("0.01 + 0.002 * query.pages ? 1", asked(), 12_000),
        ("0.01 + 0.002 * query.pages ? 1", asked(b"pages=3"), 16_000),
        ("0.01 + 0.002 * query.pages ? 1", asked(b"pages=0"), 10_000),
        ("0.01 + 0.002 * max(query.pages ? 1, 1)", asked(b"pages=0"), 12_000),
        ("0.1 * ceil(bytes / 1000)", asked(body=0), 0),
        ("0.1 * ceil(bytes / 1000)", asked(body=1), 100_000),
        ("0.1 * ceil(bytes / 1000)", asked(body=1_000), 100_000),
        ("0.1 * ceil(bytes / 1000)", asked(body=1_001), 200_000),
        ("ceil((0.3 * query.n) / 0.2) * 0.000001", asked(b"n=3"), 5),
        ("ceil((1 - query.n) / 2) * 0.1 + 1", asked(b"n=4"), 900_000),
        ("0.001 * path.day + 0.000001 * path.hour", asked(), 7_012),
        ("0.1 * header.x-size ? 4", asked(b"", (b"x-size", b"10")), 1_000_000),
        ("0.1 * header.x-size ? 4", asked(), 400_000),
        ("0.000001 * query.w * query.h", asked(b"w=1920&h=1080"), 2_073_600),
        ("query.n", asked(b"n=2"), 2_000_000),
        ("min(query.n, 0.5) - 0.25", asked(b"n=2"), 250_000),
        ("0.5 - query.n", asked(b"n=2"), 0),
        ("1 - 2 - 3 + 5", asked(), 1_000_000),
        ("0.01 * query.n + query.n - query.n", asked(b"n=2"), 20_000),
        ("0.01 * query.n ? 1 + 0.02 * query.n ? 2", asked(), 50_000),
        ("4.999999", asked(), CAP - 1),
        ("5.000001", asked(), CAP),
        ("query.n * query.n * query.n", asked(b"n=1000000000"), CAP),
    ],
)
def test_a_request_is_priced(text: str, request_: Asked, micro: int) -> None:
    assert CostFormula(text, PATTERN).price(CAP, request_) == micro


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("0.01 * query.pages", asked()),
        ("0.01 * query.pages ? 1", asked(b"pages=three")),
        ("0.01 * query.pages ? 1", asked(b"pages=3&pages=1")),
        ("0.01 * query.pages ? 1", asked(b"Pages=300")),
        ("0 * query.pages ? 1", asked(b"pages=-1")),
        ("min(0.01, query.pages)", asked(b"pages=99999999999")),
        ("0.01 * header.x-size ? 1", asked(b"", (b"x-size", b"1"), (b"x-size", b"1"))),
        ("0.01 * path.day ? 1", asked(path=b"/days/today/12")),
        ("0.01 * bytes", asked(body=None)),
        ("1 - 0.01 * bytes", asked(body=10**9 + 1)),
    ],
)
def test_what_cannot_be_read_costs_the_whole_price(text: str, request_: Asked) -> None:
    assert CostFormula(text, PATTERN).price(CAP, request_) == CAP


def test_a_price_of_nothing_stays_nothing() -> None:
    formula = CostFormula("0.01 * query.pages", PATTERN)
    assert formula.price(0, asked(b"pages=3")) == formula.price(0, asked()) == 0


def test_fields_are_told_once_each() -> None:
    formula = CostFormula("0.1 * query.a + query.b ? 2 - 0.1 * query.a + bytes", PATTERN)
    assert [(field.label, field.default) for field in formula.fields] == [
        ("query.a", None),
        ("query.b", 2),
        ("bytes", None),
    ]
    assert formula.read(asked(b"a=4", body=None)) == [4, -1, -2]


def test_a_valid_formula_loses_its_blanks() -> None:
    assert valid_formula("  0.1 * path.day\n", PATTERN) == "0.1 * path.day"
    assert valid_formula(" ", PATTERN) == valid_formula("", PATTERN) == ""


def test_a_formula_asks_for_no_parameter_that_the_pattern_has_not() -> None:
    with pytest.raises(InvalidValue, match="column 12: expected day, hour, found 'm'"):
        valid_formula("0.1 * path.month", PATTERN)


def test_a_text_from_elsewhere_that_is_none_costs_the_whole_price(caplog: pytest.LogCaptureFixture) -> None:
    text = f"0.1 * query.{uuid4().hex[0]} nonsense"
    operation = OperationSnapshot(uuid4(), "o", "GET", "/o", CAP, reserved=False, enabled=True, cost_formula=text)
    with caplog.at_level(logging.ERROR):
        assert [requested_price(operation, CAP, asked()) for _ in range(3)] == [CAP] * 3
    assert len(caplog.records) == 1
    assert "costs its whole price" in caplog.text


def test_it_is_compiled_once() -> None:
    assert formula_of("0.25 * query.once", PATTERN) is formula_of("0.25 * query.once", PATTERN)
    assert formula_of.cache_parameters()["maxsize"]

"""Whatever tree there is, its text is read as that tree, and costs what plain arithmetic says, from nothing to the price."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from domain.cost_formula_parsing import (
    LARGEST_FIELD,
    LONGEST,
    Amount,
    Ceil,
    Extreme,
    Field,
    Node,
    Product,
    Sum,
    is_whole,
    parse,
)
from domain.cost_formulas import CostFormula, valid_formula
from domain.credit_amounts import credits_text
from domain.faults import InvalidValue

MICRO = 1_000_000
PATTERN = "/{a}/{b}"
Found = dict[tuple[str, str], int | str | None]

numbers = st.one_of(st.integers(0, 5), st.integers(0, LARGEST_FIELD))
fields = st.builds(
    Field,
    st.sampled_from(["query", "header", "path"]),
    st.sampled_from(["a", "b"]),
    st.one_of(st.none(), numbers),
) | st.just(Field("bytes"))
amounts = st.builds(Amount, st.one_of(st.integers(0, 10 * MICRO), numbers.map(lambda number: number * MICRO)))


def sums(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    rest = st.lists(st.tuples(st.booleans(), parts), min_size=1, max_size=3).map(tuple)
    return st.builds(Sum, parts, rest)


def products(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.lists(parts, min_size=2, max_size=3).map(product_of)


def product_of(factors: list[Node]) -> Product:
    """Of these, rounded up but for the first that has decimals."""
    first = next((place for place, factor in enumerate(factors) if not is_whole(factor)), -1)
    made = (
        factor if place == first or is_whole(factor) else Ceil(factor, MICRO) for place, factor in enumerate(factors)
    )
    return Product(tuple(made))


def larger(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return (
        sums(parts)
        | products(parts)
        | st.builds(Extreme, st.sampled_from(["min", "max"]), several)
        | st.builds(Ceil, parts, st.integers(1, 2_000 * MICRO))
    )


trees: st.SearchStrategy[Node] = st.recursive(amounts | fields, larger, max_leaves=12)


def written(node: Node) -> str:
    if isinstance(node, Amount):
        return credits_text(node.micro)
    if isinstance(node, Field):
        return node.label if node.default is None else f"{node.label} ? {node.default}"
    if isinstance(node, Ceil):
        return f"ceil({written(node.part)} / {credits_text(node.micro)})"
    if isinstance(node, Extreme):
        return f"{node.which}({', '.join(map(written, node.parts))})"
    if isinstance(node, Product):
        return " * ".join(inside(part, Sum | Product) for part in node.factors)
    rest = "".join(f" {'-' if taken else '+'} {inside(part, Sum)}" for taken, part in node.rest)
    return inside(node.first, Sum) + rest


def inside(node: Node, kinds: object) -> str:
    return f"({written(node)})" if isinstance(node, kinds) else written(node)  # type: ignore[arg-type]


class CannotBeReadError(Exception):
    pass


def value(node: Node, found: Found) -> int:
    """In millionths, by the plainest arithmetic there is."""
    if isinstance(node, Amount):
        return node.micro
    if isinstance(node, Field):
        number = found[node.source, node.name]
        number = node.default if number is None else number
        if not isinstance(number, int) or number > LARGEST_FIELD:
            raise CannotBeReadError
        return number * MICRO
    if isinstance(node, Ceil):
        part = value(node.part, found)
        times = abs(part) // node.micro * (1 if part >= 0 else -1)
        return (times + (1 if times * node.micro < part else 0)) * MICRO
    if isinstance(node, Extreme):
        return sorted(value(part, found) for part in node.parts)[0 if node.which == "min" else -1]
    if isinstance(node, Product):
        result, ones = 1, 0
        for factor in node.factors:
            result, ones = result * value(factor, found), ones + 1
        whole, rest = divmod(result, MICRO ** (ones - 1))
        assert not rest
        return whole
    total = value(node.first, found)
    return total + sum(-value(part, found) if taken else value(part, found) for taken, part in node.rest)


said = st.one_of(st.none(), numbers, st.sampled_from(["", "x", "-1", "01", "1.0", "1 ", "9" * 30]))
founds = st.fixed_dictionaries(
    {(source, name): said for source in ("query", "header") for name in "ab"}
    | {("path", name): numbers | st.just("x") for name in "ab"}
    | {("bytes", ""): numbers | st.just("chunked")}
)


def priced(text: str, found: Found, cap: int) -> int:
    query = "&".join(f"{name}={found['query', name]}" for name in "ab" if found["query", name] is not None)
    headers = [
        (name.encode(), str(found["header", name]).encode()) for name in "ab" if found["header", name] is not None
    ]
    path = f"/{found['path', 'a']}/{found['path', 'b']}".encode()
    body = found["bytes", ""]
    return CostFormula(text, PATTERN).price(
        cap, (query.encode(), headers, path, body if isinstance(body, int) else None)
    )


@given(trees)
def test_what_is_written_is_read(tree: Node) -> None:
    if len(written(tree)) <= LONGEST:
        assert parse(written(tree), "ab") == tree


@given(trees, founds, st.integers(0, 10**13))
def test_it_costs_what_plain_arithmetic_says(tree: Node, found: Found, cap: int) -> None:
    if len(written(tree)) > LONGEST:
        return
    price = priced(written(tree), found, cap)
    assert isinstance(price, int)
    assert 0 <= price <= cap
    try:
        expected = min(max(value(tree, found), 0), cap) if can_be_read(tree, found) else cap
    except CannotBeReadError:
        expected = cap
    assert price == expected


def can_be_read(tree: Node, found: Found) -> bool:
    """Whether each field can, used for the result or not."""
    parts: tuple[Node, ...] = ()
    if isinstance(tree, Sum):
        parts = (tree.first, *(part for _, part in tree.rest))
    elif isinstance(tree, Product):
        parts = tree.factors
    elif isinstance(tree, Extreme):
        parts = tree.parts
    elif isinstance(tree, Ceil):
        parts = (tree.part,)
    else:
        value(tree, found)
    return all(can_be_read(part, found) for part in parts)


@given(st.text(max_size=600) | st.text("0123456789.+-*/()?, \nabcehimnqrtuyx_", max_size=600))
@example("(" * 500)
@example("ceil(" * 100)
@example("min(1," * 83)
@example("\ud800")
@example("query." * 80)
def test_no_text_does_anything_but_be_a_formula_or_refused(text: str) -> None:
    refused: InvalidValue | None = None
    try:
        formula = valid_formula(text, PATTERN)
    except InvalidValue as fault:
        refused = fault
    if refused is None:
        assert formula == text.strip(" \t\r\n")
    else:
        assert str(refused).isascii()
        assert len(str(refused)) < 300


@given(trees, st.integers(0, 10**13), st.lists(st.binary(max_size=20), max_size=4), st.binary(max_size=30))
def test_no_request_leads_out_of_its_bounds(tree: Node, cap: int, parts: list[bytes], path: bytes) -> None:
    if len(written(tree)) > LONGEST:
        return
    query = b"&".join([*parts, *(b"a=" + part for part in parts)])
    headers = [(before, after) for before, after in pairwise([b"a", *parts])]
    assert 0 <= CostFormula(written(tree), PATTERN).price(cap, (query, headers, path, None)) <= cap


@given(st.integers(0, 50), st.text("ab&=;%5B[]+.A0123456789", max_size=30))
def test_what_is_added_to_a_query_never_lowers_a_growing_price(number: int, more: str) -> None:
    formula = CostFormula("0.01 * query.ab ? 0", PATTERN)
    plain = f"ab={number}"
    price = formula.price(10 * MICRO, (plain.encode(), [], b"/", 0))
    for query in (f"{plain}&{more}", f"{more}&{plain}"):
        assert formula.price(10 * MICRO, (query.encode(), [], b"/", 0)) >= price

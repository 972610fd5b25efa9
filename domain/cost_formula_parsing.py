"""The language of cost formulas: what an operator writes, as a tree that never changes.

    formula := product (('+' | '-') product)*
    product := factor ('*' factor)*
    factor  := number | field ['?' whole number] | '(' formula ')'
             | ('min' | 'max') '(' formula (',' formula)+ ')' | 'ceil' '(' formula '/' number ')'
    field   := 'bytes' | 'query.' name | 'header.' name | 'path.' name | 'answer.bytes' | 'answer.events'

Numbers are credits with at most six decimals, fields are whole numbers; those of the answer say how much of it was delivered. Of a product's factors at most one has decimals,
so every value is a whole number of micro-credits, and nothing is rounded but by `ceil`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NoReturn

from domain.credit_amounts import LARGEST_CREDITS, MICRO
from domain.faults import InvalidValue

LONGEST = 500
MOST_NODES = 100
DEEPEST = 20
LONGEST_NAME = 64
LARGEST_FIELD = 1_000_000_000

_BLANKS, _DIGITS = frozenset(" \t\r\n"), frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_SOURCES = frozenset(("query", "header", "path", "answer"))
_OF_ANSWER = ("bytes", "events")
_NOT_AS_SENT = frozenset((
    "authorization", "connection", "content-length", "expect", "forwarded", "host", "http2-settings", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "traceparent", "tracestate", "trailer",
    "trailers", "transfer-encoding", "upgrade", "via", "x-api-key", "x-original-url", "x-real-ip", "x-request-id",
    "x-rewrite-url",
))  # fmt: skip
"""Header fields that the upstream gets otherwise than the caller sent them, or not at all."""
_NOT_AS_SENT_PREFIXES = ("x-pe-", "x-forwarded-")
_FACTOR = (
    "a number, a field (query.NAME, header.NAME, path.PARAM, bytes, answer.bytes, answer.events), min, max, ceil or '('"
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, in millionths."""

    micro: int


@dataclass(frozen=True, slots=True)
class Field:
    """A whole number of the request, or of its answer. `source` is query, header (with a lower-case `name`), path,
    answer, or bytes (without).
    """

    source: str
    name: str = ""
    default: int | None = None

    @property
    def label(self) -> str:
        """As it is written, without its default."""
        return f"{self.source}.{self.name}" if self.name else self.source


@dataclass(frozen=True, slots=True)
class Sum:
    """`first`, and what is added to it or, where it is marked, taken away."""

    first: "Node"
    rest: tuple[tuple[bool, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two factors or more; at most one is not a whole number."""

    factors: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Extreme:
    """The least or the greatest (`which` is min or max) of two parts or more."""

    which: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Ceil:
    """How many times `micro` millionths, more than none, are begun in `part`."""

    part: "Node"
    micro: int


Node = Amount | Field | Sum | Product | Extreme | Ceil


def parse(text: str, parameters: Collection[str] = ()) -> Node:
    """The tree of a formula; `parameters` are what a path may be asked for.

    Raises InvalidValue with the column and what was expected there, and nothing else.
    """
    if len(text) > LONGEST:
        raise InvalidValue(f"cost_formula: expected at most {LONGEST} characters, found {len(text)}.")
    parser = _Parser(text, parameters)
    node = parser.sum()
    if parser.next():
        parser.fail("'+', '-', '*' or the end")
    return node


def parts_of(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    if isinstance(node, Sum):
        return node.first, *(part for _, part in node.rest)
    if isinstance(node, Product):
        return node.factors
    if isinstance(node, Extreme):
        return node.parts
    return (node.part,) if isinstance(node, Ceil) else ()


def is_whole(node: Node) -> bool:
    """Whether its value is a whole number, whatever the request."""
    if isinstance(node, Amount):
        return node.micro % MICRO == 0
    return isinstance(node, Field | Ceil) or all(map(is_whole, parts_of(node)))


class _Parser:
    def __init__(self, text: str, parameters: Collection[str]) -> None:
        self.text, self.at, self.parameters = text, 0, parameters
        self.depth = self.nodes = 0

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        found = ascii(self.text[at]) if at < len(self.text) else "the end"
        hint = ": division is written ceil(a / 1000)" if found == "'/'" else ""
        raise InvalidValue(f"cost_formula, column {at + 1}: expected {expected}, found {found}{hint}.")

    def next(self) -> str:
        """The next character that is no blank; empty at the end."""
        while self.text[self.at : self.at + 1] in _BLANKS:
            self.at += 1
        return self.text[self.at : self.at + 1]

    def take(self, character: str, expected: str = "") -> None:
        if self.next() != character:
            self.fail(expected or f"'{character}'")
        self.at += 1

    def sum(self) -> Node:
        first = self.product()
        rest = []
        while (sign := self.next()) in {"+", "-"}:
            self.at += 1
            rest.append((sign == "-", self.product()))
        return Sum(first, tuple(rest)) if rest else first

    def product(self) -> Node:
        factors = [self.factor()]
        decimals = not is_whole(factors[0])
        while self.next() == "*":
            self.at += 1
            self.next()
            begun = self.at
            factor = self.factor()
            if not is_whole(factor):
                if decimals:
                    self.fail("a whole number, because another factor has decimals", begun)
                decimals = True
            factors.append(factor)
        return Product(tuple(factors)) if len(factors) > 1 else factors[0]

    def factor(self) -> Node:
        found = self.next()
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.fail(f"the end: at most {MOST_NODES} numbers, fields, calls and parentheses")
        if found in _DIGITS:
            return Amount(self.number())
        if found == "(":
            return self.inside(self.sum)
        if found not in _LETTERS:
            self.fail(_FACTOR)
        begun = self.at
        word = self.word()
        if word in {"min", "max"}:
            return self.inside(lambda: self.extreme(word))
        if word == "ceil":
            return self.inside(self.ceil)
        if word != "bytes" and word not in _SOURCES:
            self.fail(_FACTOR, begun)
        return self.field(word)

    def inside(self, content: Callable[[], Node]) -> Node:
        """What stands in parentheses."""
        self.take("(")
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"at most {DEEPEST} parentheses within each other")
        node = content()
        self.take(")", "'+', '-', '*' or ')'")
        self.depth -= 1
        return node

    def extreme(self, which: str) -> Node:
        parts = [self.sum()]
        self.take(",", "'+', '-', '*' or ','")
        parts.append(self.sum())
        while self.next() == ",":
            self.at += 1
            parts.append(self.sum())
        return Extreme(which, tuple(parts))

    def ceil(self) -> Node:
        part = self.sum()
        self.take("/", "'+', '-', '*' or '/'")
        self.next()
        begun = self.at
        if self.next() not in _DIGITS or not (micro := self.number()):
            self.fail("a number above zero", begun)
        return Ceil(part, micro)

    def field(self, source: str) -> Field:
        name = ""
        if source != "bytes":
            self.take(".", f"'.' and a name behind {source}")
            name = self.name(source)
        if self.next() != "?":
            return Field(source, name)
        if source == "bytes":
            self.fail("no default for bytes: a body of unknown length costs the whole price")
        if (source, name) == ("answer", "bytes"):
            self.fail("no default for answer.bytes: they are always counted")
        self.at += 1
        self.next()
        begun = self.at
        default = self.number() if self.next() in _DIGITS else -1
        if default < 0 or default % MICRO or default > LARGEST_FIELD * MICRO:
            self.fail(f"a whole number from 0 to {LARGEST_FIELD} as the default", begun)
        return Field(source, name, default // MICRO)

    def name(self, source: str) -> str:
        begun = self.at
        name = self.word(hyphens=source in {"query", "header"})
        if source == "answer" and name not in _OF_ANSWER:
            self.fail(" or ".join(_OF_ANSWER), begun)
        if not name or len(name) > LONGEST_NAME:
            self.fail(f"a name of at most {LONGEST_NAME} letters, digits, '_' and '-', a letter or '_' first", begun)
        if self.text[self.at : self.at + 1] == "-" and source in {"query", "header"}:
            self.fail("a blank before '-': beside a name it would belong to it")
        if source == "path" and name not in self.parameters:
            self.fail(", ".join(self.parameters) or "another field, because the path has no parameters", begun)
        if source != "header":
            return name
        name = name.lower()
        twin = name.replace("_", "-")
        if twin in _NOT_AS_SENT or twin.startswith(_NOT_AS_SENT_PREFIXES):
            self.fail("a header field that goes to the upstream as the caller sent it", begun)
        return name

    def word(self, *, hyphens: bool = False) -> str:
        """Letters, digits and `_`, a letter or `_` first, and single hyphens before letters; empty if none is here."""
        begun, text = self.at, self.text
        while (here := text[self.at : self.at + 1]) in _LETTERS or (self.at > begun and here in _DIGITS):
            self.at += 1
            if hyphens and text[self.at : self.at + 1] == "-" and text[self.at + 1 : self.at + 2] in _LETTERS:
                self.at += 1
        return text[begun : self.at]

    def number(self) -> int:
        """Millionths of the number that is here."""
        begun = self.at
        whole, fraction = self.digits(), ""
        if self.text[self.at : self.at + 1] == ".":
            self.at += 1
            fraction = self.digits()
            if not 1 <= len(fraction) <= 6:
                self.fail("a number with one to six decimals", begun)
        micro = int(whole) * MICRO + int(fraction.ljust(6, "0"))
        if micro > LARGEST_CREDITS * MICRO:
            self.fail(f"a number of at most {LARGEST_CREDITS}", begun)
        return micro

    def digits(self) -> str:
        begun = self.at
        while self.text[self.at : self.at + 1] in _DIGITS:
            self.at += 1
        return self.text[begun : self.at]

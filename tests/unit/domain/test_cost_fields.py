"""What is read of a request for its price: exactly one plain number under exactly the name, or it is not read at all."""

from itertools import product

import pytest

from domain.cost_fields import MISSING, MOST_PARTS, UNREADABLE, Reader, plain_number, reader
from domain.cost_formula_parsing import Field


def in_query(name: str, query: bytes) -> int:
    return reader(Field("query", name), {})((query, [], b"/", 0))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"1000000000", 10**9),
        (b"1000000001", UNREADABLE),
        (b"9" * 5_000, UNREADABLE),
        (b"", UNREADABLE),
        (b"01", UNREADABLE),
        (b"00", UNREADABLE),
        (b"-1", UNREADABLE),
        (b"+1", UNREADABLE),
        (b" 1", UNREADABLE),
        (b"1.0", UNREADABLE),
        (b"1e3", UNREADABLE),
        (b"1_000", UNREADABLE),
        (b"0x10", UNREADABLE),
        (b"1,2", UNREADABLE),
        ("\u0663".encode(), UNREADABLE),
        (b"\xb2", UNREADABLE),
        (b"1\x00", UNREADABLE),
    ],
)
def test_a_plain_number(text: bytes, number: int) -> None:
    assert plain_number(text) == number


@pytest.mark.parametrize(
    ("query", "number"),
    [
        (b"", MISSING),
        (b"page=3", MISSING),
        (b"page_sizes=3&my_page_size=4&x=page_size", MISSING),
        (b"x=1&page_size=3", 3),
        (b"page_size=3&x=1", 3),
        (b"&&page_size=3&", 3),
        (b"a%20b=%31&page_size=3", 3),
        (b"x=page_size&page_size=3", 3),
        (b"page_size", UNREADABLE),
        (b"page_size=", UNREADABLE),
        (b"page_size=3&page_size=3", UNREADABLE),
        (b"page_size=%33", UNREADABLE),
        (b"page_size=3;x=1", UNREADABLE),
        # Names that one upstream or the other reads as the same.
        (b"page%5fsize=3", UNREADABLE),
        (b"p%61ge_size=100&page_size=1", UNREADABLE),
        (b"page_size=1&PAGE_SIZE=100", UNREADABLE),
        (b"Page_Size=100", UNREADABLE),
        (b"page.size=100", UNREADABLE),
        (b"page+size=100&page_size=1", UNREADABLE),
        (b"page%20size=100", UNREADABLE),
        (b"page_size=1&page_size[]=100", UNREADABLE),
        (b"page_size%5B0%5D=100", UNREADABLE),
        (b"+page_size=100", UNREADABLE),
        (b"?page_size=100", UNREADABLE),
        (b"page_size%00x=100", UNREADABLE),
        (b"%u0070age_size=100", UNREADABLE),
        (b"page_size=1&x;%U0070age_size=100", UNREADABLE),
        (b"x=%u0070&page_size=3", 3),
        (b"x=%u0070", MISSING),
        (b"x=1;page_size=100", UNREADABLE),
        (b"x=1;page_size=100&page_size=1", UNREADABLE),
    ],
)
def test_the_query(query: bytes, number: int) -> None:
    assert in_query("page_size", query) == number


def test_the_short_way_reads_what_the_long_one_does() -> None:
    """An escape elsewhere makes it search part by part: the answer must be the same as without."""
    parts = [b"n=3", b"n=4", b"n", b"N=3", b"an=3", b"n=", b"x=n", b"", b"n[]=1", b"n.n=2", b"x;n=1", b"n=1;2"]
    for count in (1, 2, 3):
        for chosen in product(parts, repeat=count):
            query = b"&".join(chosen)
            assert in_query("n", query) == in_query("n", query + b"&%20"), query


def test_a_query_of_very_many_parts_is_searched_no_further() -> None:
    many = b"&x=%31" * (MOST_PARTS - 1)
    assert in_query("n", b"n=3" + many) == 3
    assert in_query("n", b"n=3" + many + b"&&") == UNREADABLE
    assert in_query("n", b"n=3" + many.replace(b"%31", b"1") + b"&&") == 3
    assert in_query("n", b"m=3" + many + b"&&") == MISSING


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ([], MISSING),
        ([(b"x-size-of", b"3"), (b"y-size", b"4"), (b"connection", b"keep-alive")], MISSING),
        ([(b"host", b"h"), (b"x-size", b"3"), (b"accept", b"*/*")], 3),
        ([(b"x-size", b"3"), (b"x-size", b"3")], UNREADABLE),
        ([(b"x-size", b"1, 2")], UNREADABLE),
        ([(b"x_size", b"100")], UNREADABLE),
        ([(b"x-size", b"1"), (b"x_size", b"100")], UNREADABLE),
        ([(b"x.size", b"100")], UNREADABLE),
        ([(b"connection", b"close, X-Size"), (b"x-size", b"1")], UNREADABLE),
        ([(b"x-size", b"1"), (b"connection", b"x-size")], UNREADABLE),
    ],
)
def test_the_header(headers: list[tuple[bytes, bytes]], number: int) -> None:
    assert reader(Field("header", "x-size"), {})((b"x-size=9", headers, b"/", 0)) == number


@pytest.mark.parametrize(
    ("path", "number"),
    [
        (b"/days/7", 7),
        (b"/days/7/", 7),
        (b"/days/7/more", 7),
        (b"/days/7;v=1", UNREADABLE),
        (b"/days/07", UNREADABLE),
        (b"/days/today", UNREADABLE),
        (b"/days/", MISSING),
        (b"/days", MISSING),
    ],
)
def test_the_path(path: bytes, number: int) -> None:
    assert reader(Field("path", "day"), {"day": 1})((b"day=9", [], path, 0)) == number


@pytest.mark.parametrize(("body", "number"), [(0, 0), (5, 5), (None, UNREADABLE), (10**9 + 1, UNREADABLE)])
def test_the_announced_length(body: int | None, number: int) -> None:
    read: Reader = reader(Field("bytes"), {})
    assert read((b"", [], b"/", body)) == number
